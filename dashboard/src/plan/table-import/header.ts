/** Finds the header row and assigns columns to fields. */
import { type ColumnKey, FIELDS, type Field, fieldNoun, keyOf, type OwnColumn } from "../fields"
import { isBlank } from "../text"
import { type ColumnMeaning, type ColumnProblem, parseColumnName } from "./column-names"

export interface MappedColumn extends ColumnMeaning {
  /** Index of the cell in a row. */
  at: number
  head: string
}

export interface Header {
  /** Index of the header row; -1 if there is none. */
  row: number
  columns: Partial<Record<ColumnKey, MappedColumn>>
  /** Number of columns up to the last one with a name. */
  width: number
  /** Names of columns that are not imported. */
  ignored: string[]
  notes: string[]
  /** Why the columns cannot be read; `null` if they can. */
  problem: string | null
}

/** Number of lines to search for the header. Titles and blank lines may come first. */
const MAX_HEADER_LINES = 20
/** Begin of the problem of a header without a designation. */
export const NO_DESIGNATION = "No column is recognized as the designation."
/** Other columns of an exported plan. They are recognized, and not imported. */
const EXPORT_COLUMNS = new Set([
  "id",
  "created",
  "updated",
  "updated by",
  "createdat",
  "updatedat",
  "updatedby",
  "approvedbudget",
  "approvedat",
  "approvedby",
  "conflicts",
  "omitted",
])
/** An export puts the names of calculated columns in square brackets. */
const CALCULATED = /^\[.*\]$/

/** Whether a column of an exported plan is not imported. */
export const isExportColumn = (head: string): boolean => EXPORT_COLUMNS.has(head.trim().toLowerCase()) || CALCULATED.test(head.trim())

export const isIdHead = (head: string): boolean => head.trim().toLowerCase() === "id"

export const isProblem = (meaning: ColumnMeaning | ColumnProblem | null): meaning is ColumnProblem =>
  meaning !== null && "problem" in meaning

/** Number of cells up to the last one that is not blank. */
export function widthOf(row: readonly string[]): number {
  let width = row.length
  while (width > 0 && isBlank(row[width - 1] ?? "")) width -= 1
  return width
}

/** Finds the row that names the most fields; `null` if no row names a designation or several fields. `own`: the columns of the plan. */
export function findHeader(rows: readonly string[][], own: readonly OwnColumn[] = []): Header | null {
  let best: { row: number; fields: number } | null = null
  let inspected = 0
  for (const [at, row] of rows.entries()) {
    const cells = row.filter((cell) => !isBlank(cell))
    if (cells.length === 0) continue
    inspected += 1
    if (inspected > MAX_HEADER_LINES) break
    const meanings = cells.map((cell) => parseColumnName(cell, own))
    const fields = new Set<string>(meanings.flatMap((meaning) => (meaning === null ? [] : isProblem(meaning) ? "budget" : meaning.field)))
    // A table of ids and new values needs no designations.
    if (cells.some(isIdHead)) fields.add("id")
    // A single name may be a title, unless the table has only one column.
    const isAlone = cells.length === 1 && rows.some((other) => widthOf(other) > 1)
    if (isAlone || (!fields.has("designation") && fields.size < 2)) continue
    if (!best || fields.size > best.fields) best = { row: at, fields: fields.size }
  }
  return best ? readHeader(rows[best.row] ?? [], best.row, own) : null
}

function readHeader(headerCells: readonly string[], row: number, own: readonly OwnColumn[]): Header {
  const header: Header = { row, columns: {}, width: widthOf(headerCells), ignored: [], notes: [], problem: null }
  const meanings = headerCells.slice(0, header.width).map((head) => (isExportColumn(head) ? null : parseColumnName(head, own)))
  for (const field of [...FIELDS, ...own]) {
    const key = keyOf(field)
    const found = meanings.flatMap((meaning, at): MappedColumn[] =>
      meaning !== null && !isProblem(meaning) && meaning.field === key ? [{ ...meaning, at, head: headerCells[at]?.trim() ?? "" }] : [],
    )
    const [first, second] = found.sort((one, other) => one.rank - other.rank)
    if (first && second && first.rank === second.rank) header.problem ??= ambiguityProblem(field, first.head, second.head)
    if (first) header.columns[key] = first
  }
  const used = new Set(Object.values(header.columns).flatMap((column) => column?.at ?? []))
  for (const [at, head] of headerCells.slice(0, header.width).entries()) {
    const meaning = meanings[at] ?? null
    if (used.has(at) || isBlank(head) || isExportColumn(head)) continue
    header.ignored.push(head.trim())
    // An unreadable budget column only matters if there is no other budget column.
    if (isProblem(meaning) && !header.columns.budget) header.notes.push(meaning.problem)
  }
  if (!header.columns.designation) {
    const names = headerCells.filter((head) => !isBlank(head)).map((head) => `“${head.trim()}”`)
    header.problem ??= `${NO_DESIGNATION} Rename one of ${names.join(", ")} to “Designation” or “Job title”.`
  }
  return header
}

const ambiguityProblem = (field: Field, one: string, other: string): string =>
  one === other
    ? `Two columns are called “${one}”. Rename or remove one of them.`
    : `“${one}” and “${other}” both contain the ${fieldNoun(field)}. Rename or remove one of them.`

/** The header of a table without one: all fields in their order. */
export function defaultHeader(): Header {
  const columns = Object.fromEntries(FIELDS.map((field, at) => [field, { field, at, rank: 0, head: field, unit: "", currency: "" }]))
  return { row: -1, columns, width: FIELDS.length, ignored: [], notes: [], problem: null }
}
