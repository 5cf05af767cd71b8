/** Parses the lines below the header. */
import { type AmountFormat, CANONICAL_SEPARATORS } from "../amount"
import type { DateOrder } from "../calendar"
import {
  type ColumnKey,
  emptyValue,
  FIELDS,
  type Field,
  type FieldKey,
  fieldLabel,
  fieldValues,
  isAmountField,
  isTextField,
  keyOf,
  kindOf,
  type OwnColumn,
  TEXT_FIELDS,
} from "../fields"
import { unescapeFormulas } from "../formula-escaping"
import { parseValue } from "../input"
import type { FieldValue } from "../schema"
import { isBlank } from "../text"
import { validateField } from "../validation"
import { readAmount } from "./amounts"
import { type Header, widthOf } from "./header"
import type { ImportLine, SkippedLine } from "./preview"
import { cellName, type RawTable, typedCell } from "./raw-table"

/** A position, a skipped line with the reason, or `null` for a blank line. */
export type ParsedLine = { line: ImportLine } | { skipped: SkippedLine } | null

/** Lines with totals. */
const TOTAL = /^(grand |overall |sub[ -]?)?(total|sum)s?:?$/i
const TOTAL_OF = /^(grand |sub[ -]?)?totals? (budget|cost|salary|amount|headcount|positions?|for|of)\b.*$|^.+ (sub[ -]?)?total:?$/i

/** Context for parsing the lines of a table. */
export interface LineContext {
  table: RawTable
  header: Header
  /** Index of the column with the ids of positions; -1 if there is none. */
  idColumn: number
  /** Currency units of an amount without a unit of its own. */
  unit: number
  format: AmountFormat
  /** Order of day and month in the dates of a column, where one of its dates shows it. */
  dateOrders: Partial<Record<ColumnKey, DateOrder>>
  /** The columns of the plan. */
  own: readonly OwnColumn[]
}

/** Parses the row at an index; `null` if it is blank. */
export function parseLine(at: number, context: LineContext): ParsedLine {
  const { table, header, idColumn } = context
  const row = table.rows[at] ?? []
  const number = at + 1 + table.lineOffset
  const width = widthOf(row)
  if (width === 0) return null
  const id = idColumn < 0 ? "" : (row[idColumn] ?? "").trim()
  // An exported position may be called “Total”.
  if (id === "") {
    if (header.row >= 0 && isRepeatedHeader(row, table.rows[header.row] ?? [])) return { skipped: { number, reason: "repeats the header" } }
    if (isTotal(row, header)) return { skipped: { number, reason: "is a total" } }
  }
  const problems: Partial<Record<ColumnKey, string>> = {}
  const texts: Partial<Record<ColumnKey, string>> = {}
  const readField = (field: Field): FieldValue => {
    const key = keyOf(field)
    const column = header.columns[key]?.at
    if (column === undefined) return emptyValue(field)
    const read = readCell(field, at, column, context)
    texts[key] = textAt(at, column, table)
    if ("problem" in read) problems[key] = read.problem
    return "problem" in read ? (isTextField(field) ? (texts[key] ?? "") : null) : read.value
  }
  const fields = fieldValues(readField)
  const own = context.own.filter(({ key }) => header.columns[key]).map((column) => [column.key, readField(column)] as const)
  const position = own.length > 0 ? { ...fields, own: Object.fromEntries(own) } : fields
  const [first] = [...FIELDS, ...context.own].flatMap((field) => {
    const problem = problems[keyOf(field)]
    return problem === undefined ? [] : [`${fieldLabel(field)}: ${problem}`]
  })
  // Workbooks may have notes beside the table.
  const isTooWide = table.hasEscapes && width > header.width
  const problem = isTooWide
    ? `${width} cells, ${header.width} ${header.width === 1 ? "column" : "columns"}. Quote cells that contain the separator.`
    : (first ?? null)
  return { line: { number, id, position, texts, problems, problem } }
}

/** The text of a cell without escapes. */
function textAt(at: number, column: number, table: RawTable): string {
  const text = table.rows[at]?.[column] ?? ""
  return table.hasEscapes ? unescapeFormulas(text) : text
}

function readCell(field: Field, at: number, column: number, context: LineContext): { value: FieldValue } | { problem: string } {
  const { table, unit } = context
  const cell = typedCell(table, at, column)
  const text = textAt(at, column, table)
  if (cell?.kind === "error") return { problem: `${cellName(at, column)} has the error ${cell.value}.` }
  if (cell?.kind === "formula")
    return {
      problem: `The file has no result for the formula in ${cellName(at, column)}. Open it in a spreadsheet program and save it again.`,
    }
  if (isAmountField(field)) {
    const read = readAmount(text, cell, unit, context.format)
    if ("problem" in read) return read
    const problem = validateField(field, read.value)
    return problem === null ? read : { problem }
  }
  if (!isTextField(field)) {
    if (kindOf(field) === "number" && cell?.kind === "date") return { problem: `“${text}” is a date, not a number.` }
    const separators = cell?.kind === "number" ? CANONICAL_SEPARATORS : context.format.separators
    return parseValue(field, text, { currency: "", unit: 1 }, context.dateOrders[keyOf(field)] ?? null, separators)
  }
  const problem = validateField(field, text)
  return problem === null ? { value: text } : { problem }
}

const isRepeatedHeader = (row: readonly string[], headerCells: readonly string[]): boolean =>
  widthOf(row) === widthOf(headerCells) && headerCells.every((head, at) => head.trim() === (row[at] ?? "").trim())

function isTotal(row: readonly string[], { columns }: Header): boolean {
  const text = (field: FieldKey) => (row[columns[field]?.at ?? -1] ?? "").trim()
  const designation = text("designation")
  if (TOTAL.test(designation)) return true
  if (isBlank(designation)) return row.some((cell) => TOTAL.test(cell.trim()) || TOTAL_OF.test(cell.trim()))
  return TOTAL_OF.test(designation) && TEXT_FIELDS.every((field) => field === "designation" || isBlank(text(field)))
}

/** Whether the page or the server wrote a table. Its amounts have a decimal point in every language. */
export const isExportedTable = (headerCells: readonly string[], delimiter: string): boolean =>
  delimiter === "," && headerCells.includes("createdAt")
