/**
 * Compares a table with the plan: which positions it adds and which fields it changes.
 *
 * A line whose id is in the plan changes the fields that differ. Other lines add positions. Positions of the plan that the table does not
 * name are listed; they are deleted only if the user asks for it.
 */

import { type ColumnKey, FIELDS, type FieldKey, fieldLabel, isFieldKey, keyOf, type OwnColumn } from "../fields"
import { toPlainDecimal } from "../format"
import { type FieldValue, type Position, shownValue, validValue } from "../schema"
import { MAX_CELL_TEXT } from "../table-export/table"
import { createTextFolder } from "../text"
import { isOwnId } from "./mapping"
import type { ImportLine, SkippedLine } from "./preview"

/** A position to add. */
export interface Addition {
  line: ImportLine
  /** Id of the new position; `null` for a new one. */
  id: string | null
  /** A position of the plan, or an earlier line, has the same designation, department, location and budget. */
  sameAs: "plan" | number | null
}

export interface CellUpdate {
  field: ColumnKey
  before: FieldValue
  after: FieldValue
}

/** A position whose fields differ. */
export interface Update {
  number: number
  id: string
  name: string
  cells: CellUpdate[]
}

export interface TableDiff {
  additions: Addition[]
  updates: Update[]
  /** Number of lines that equal their position. */
  unchanged: number
  /** Lines that cannot be imported. */
  refused: SkippedLine[]
  /** Positions of the plan that the table does not name. Empty if the table has no ids. */
  missing: Position[]
}

/** Fields that make two positions the same in a table. */
const IDENTITY: readonly FieldKey[] = (["designation", "department", "location", "budget"] as const).filter(isFieldKey)

/** `hasIds`: whether the table has a column of ids. `own`: the columns of the plan. */
export function diffTable(
  lines: readonly ImportLine[],
  positions: readonly Position[],
  hasIds: boolean,
  own: readonly OwnColumn[] = [],
): TableDiff {
  const byId = new Map(positions.map((position) => [position.id, position]))
  const diff: TableDiff = { additions: [], updates: [], unchanged: 0, refused: [], missing: [] }
  const lineOf = new Map<string, number>()
  for (const line of lines) {
    const { id, number } = line
    const position = id === "" ? undefined : byId.get(id)
    const earlier = id === "" ? undefined : lineOf.get(id)
    if (earlier !== undefined) {
      diff.refused.push({ number, reason: `The id is the same as in line ${earlier.toLocaleString()}.` })
      continue
    }
    if (id !== "") lineOf.set(id, number)
    if (position) compare(line, position, diff, own)
    else if (line.problem !== null) diff.refused.push({ number, reason: line.problem })
    else diff.additions.push({ line, id: isOwnId(id) ? id : null, sameAs: null })
  }
  if (hasIds) diff.missing = positions.filter(({ id }) => !lineOf.has(id))
  markDuplicates(diff, positions)
  return diff
}

function compare(line: ImportLine, position: Position, diff: TableDiff, own: readonly OwnColumn[]): void {
  const cells: CellUpdate[] = []
  for (const field of [...FIELDS, ...own]) {
    const key = keyOf(field)
    const text = line.texts[key]
    // The table does not have this field.
    if (text === undefined) continue
    const before = shownValue(position, key)
    if (isExportedAs(before, text)) continue
    const problem = line.problems[key]
    if (problem !== undefined) return void diff.refused.push({ number: line.number, reason: `${fieldLabel(field)}: ${problem}` })
    const after = validValue(line.position, key)
    if (!isSame(before, after)) cells.push({ field: key, before, after })
  }
  if (cells.length === 0) diff.unchanged += 1
  else if (position.invalidEntry !== undefined)
    diff.refused.push({ number: line.number, reason: "This entry is not a position and can only be deleted." })
  else diff.updates.push({ number: line.number, id: position.id, name: position.designation, cells })
}

/** Spreadsheets change the line breaks in cells. */
const withPlainBreaks = (text: string): string => text.replace(/\r\n?/g, "\n")

/** Whether a value is exported as this text, so that the cell is unchanged even if the value is not valid. */
const isExportedAs = (value: FieldValue, text: string): boolean => {
  if (typeof value !== "string") return false
  // A workbook shortens texts.
  const cell = text.length === MAX_CELL_TEXT ? value.slice(0, MAX_CELL_TEXT) : value
  return withPlainBreaks(cell) === withPlainBreaks(text)
}

const isSame = (one: FieldValue, other: FieldValue): boolean =>
  typeof one === "string" && typeof other === "string" ? withPlainBreaks(one) === withPlainBreaks(other) : one === other

function markDuplicates({ additions }: TableDiff, positions: readonly Position[]): void {
  if (additions.length === 0) return
  const fold = createTextFolder()
  const keyOf = (values: Record<string, unknown>) =>
    JSON.stringify(IDENTITY.map((field) => (typeof values[field] === "string" ? fold(values[field] as string) : values[field])))
  const inPlan = new Set(positions.map((position) => keyOf(position as unknown as Record<string, unknown>)))
  const earlier = new Map<string, number>()
  for (const addition of additions) {
    const key = keyOf(addition.line.position as unknown as Record<string, unknown>)
    addition.sameAs = inPlan.has(key) ? "plan" : (earlier.get(key) ?? null)
    if (!earlier.has(key)) earlier.set(key, addition.line.number)
  }
}

/** A value as the preview shows it. */
export const toShownText = (value: FieldValue): string => (typeof value === "number" ? toPlainDecimal(value) : (value ?? ""))
