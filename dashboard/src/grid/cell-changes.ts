/**
 * Plans what pasting, filling and clearing change. Pure: the caller applies the result in one change.
 *
 * A value that does not fit its cell is refused with a reason, and the cell keeps its value. Nothing is guessed.
 */
import { isBlankAmount, namedUnit } from "../plan/amount"
import type { NewPosition } from "../plan/edit"
import { emptyValue, FIELDS, type Field, fieldLabel, fieldValues, isAmountField, isOwnColumn, keyOf, kindOf } from "../plan/fields"
import { unitLabel, unitName } from "../plan/format"
import { unescapeFormulas } from "../plan/formula-escaping"
import { parseValue } from "../plan/input"
import { type FieldValue, type Position, type Settings, shownValue } from "../plan/schema"
import { validateField } from "../plan/validation"
import type { ClipboardTable } from "./clipboard"
import { type CellRef, columnCount, fieldsOf, isSingleCell, positionsIn, type Rect, rowCount } from "./range"

/** A cell and its new value. */
export interface CellChange extends CellRef {
  value: FieldValue
}

/** A value that was not applied. */
export interface Refusal {
  /** `Budget of “Cook”`. */
  cell: string
  reason: string
}

/** What an action changes, and what it refuses. */
export interface CellChanges {
  cells: CellChange[]
  /** Positions to add. */
  additions: NewPosition[]
  refusals: Refusal[]
  /** Remarks for the user, such as a conversion that a value asked for. */
  notes: string[]
}

export const noChanges = (): CellChanges => ({ cells: [], additions: [], refusals: [], notes: [] })

/** A filled rectangle needs no more cells than this; larger tables have an import. */
export const MAX_CELLS = 100_000

/**
 * Relative cost of a change: writing a cell, the author and time of its row, and a new position. Up to `MAX_COST`, an action is one change;
 * a larger one is split into portions, so that no task of the page takes a tenth of a second.
 */
const CELL_COST = 1
const ROW_COST = 2.5
const POSITION_COST = 8
const MAX_COST = 400
const PORTION_COST = 150

/** Splits an action into changes. The cells of a position stay together. */
export function portionsOf({ cells, additions }: Pick<CellChanges, "cells" | "additions">): Pick<CellChanges, "cells" | "additions">[] {
  const rows = new Map<string, CellChange[]>()
  for (const cell of cells) {
    const row = rows.get(cell.id)
    if (row) row.push(cell)
    else rows.set(cell.id, [cell])
  }
  const total = cells.length * CELL_COST + rows.size * ROW_COST + additions.length * POSITION_COST
  if (total <= MAX_COST) return [{ cells, additions }]
  const portions: { cells: CellChange[]; additions: NewPosition[] }[] = []
  let cost = PORTION_COST
  const portion = (price: number) => {
    if (cost + price > PORTION_COST) {
      portions.push({ cells: [], additions: [] })
      cost = 0
    }
    cost += price
    return portions.at(-1)
  }
  for (const row of rows.values()) portion(ROW_COST + row.length * CELL_COST)?.cells.push(...row)
  for (const position of additions) portion(POSITION_COST)?.additions.push(position)
  return portions
}

export const cellName = (position: Position, field: Field): string => `${fieldLabel(field)} of “${position.designation}”`

export const NOT_A_POSITION = "This entry is not a position and can only be deleted."

/** Adds one cell, unless the value does not fit or is there already. */
export function changeCell(changes: CellChanges, position: Position, field: Field, value: FieldValue): void {
  const refuse = (reason: string) => changes.refusals.push({ cell: cellName(position, field), reason })
  if (position.invalidEntry !== undefined) return void refuse(NOT_A_POSITION)
  const key = keyOf(field)
  // Nothing is refused in a column whose cells stay as they are.
  if (kindOf(field) === "unknown" && shownValue(position, key) === value) return
  const problem = validateField(field, value)
  if (problem !== null) return void refuse(problem)
  const isSame = shownValue(position, key) === value && !position.conflicts?.[key]
  if (!isSame) changes.cells.push({ id: position.id, field: key, value })
}

/**
 * Clears cells: a text becomes empty, an amount unknown, other values are removed. Designations are required and stay. `fields`: here and
 * below, the columns that the list shows.
 */
export function clearCells(positions: readonly Position[], rect: Rect, fields: readonly Field[] = FIELDS): CellChanges {
  const changes = noChanges()
  for (const position of positionsIn(positions, rect))
    for (const field of fieldsOf(rect, fields)) changeCell(changes, position, field, emptyValue(field))
  return changes
}

/** Fills `target` with the rows of `source`, repeated as often as necessary. Both have the same columns. */
export function fillCells(positions: readonly Position[], source: Rect, target: Rect, fields: readonly Field[] = FIELDS): CellChanges {
  const changes = noChanges()
  const rows = positionsIn(positions, source)
  for (let at = target.top; at <= target.bottom; at += 1) {
    // Upwards, the last row of the source is next to the target.
    const offset = target.bottom < source.top ? rows.length - 1 - ((source.top - 1 - at) % rows.length) : (at - target.top) % rows.length
    const [from, to] = [rows[offset], positions[at]]
    if (!from || !to) continue
    for (const field of fieldsOf(source, fields)) changeCell(changes, to, field, shownValue(from, keyOf(field)))
  }
  return changes
}

/** Where a table is pasted: onto cells, or below the last row. */
export type PasteTarget = Rect | "below"

/**
 * Pastes a table. A single value fills the whole target; a table repeats if the target is a multiple of it, and otherwise starts at the
 * first cell of the target. Rows below the last position become new positions.
 */
export function pasteCells(
  positions: readonly Position[],
  target: PasteTarget,
  table: ClipboardTable,
  settings: Settings,
  columns: readonly Field[] = FIELDS,
): CellChanges {
  const changes = noChanges()
  const { rows } = table
  const [height, width] = [rows.length, rows[0]?.length ?? 0]
  if (width === 0) return changes
  const rect = target === "below" ? { top: positions.length, bottom: positions.length, left: 0, right: 0 } : target
  const isRepeated = target !== "below" && !isSingleCell(rect) && rowCount(rect) % height === 0 && columnCount(rect) % width === 0
  const [rowsToPaste, columnsToPaste] = isRepeated ? [rowCount(rect), columnCount(rect)] : [height, width]
  if (rowsToPaste * columnsToPaste > MAX_CELLS) {
    changes.refusals.push({
      cell: "All cells",
      reason: `At most ${MAX_CELLS.toLocaleString()} cells can be pasted. Import a file instead.`,
    })
    return changes
  }
  const fields = columns.slice(rect.left, rect.left + columnsToPaste)
  const beyond = columnsToPaste - fields.length
  if (beyond > 0 && rows.some((row) => row.slice(fields.length).some((cell) => cell.trim() !== "")))
    changes.refusals.push({
      cell: beyond === 1 ? "Last column" : `Last ${beyond} columns`,
      reason: `There is no column to the right of ${fieldLabel(columns.at(-1) ?? "")}.`,
    })
  const converted = new Set<number>()
  const read = (field: Field, text: string): { value: FieldValue } | { problem: string } => {
    const cell = unescapeFormulas(text)
    if (isAmountField(field)) {
      const problem = scaleProblem(table, cell, settings)
      if (problem !== null) return { problem }
    }
    const parsed = parseValue(field, cell, settings)
    const unit = isAmountField(field) && "value" in parsed ? namedUnit(cell) : null
    if (unit !== null && unit !== settings.unit) converted.add(unit)
    return parsed
  }
  for (let at = 0; at < rowsToPaste; at += 1) {
    const row = rows[at % height] ?? []
    const position = positions[rect.top + at]
    if (!position) {
      addRow(changes, fields, row, at + 1, read)
      continue
    }
    for (const [index, field] of fields.entries()) {
      const parsed = read(field, row[index % width] ?? "")
      if ("value" in parsed) changeCell(changes, position, field, parsed.value)
      else changes.refusals.push({ cell: cellName(position, field), reason: parsed.problem })
    }
  }
  if (converted.size > 0) {
    const units = [...converted].map((unit) => unitName(unit)).join(" and ")
    changes.notes.push(`Amounts in ${units} were converted to ${unitName(settings.unit) || "single units"}.`)
  }
  return changes
}

/** Why the amounts of a table cannot be pasted: they were copied from a plan with another currency or unit, which they do not name. */
export function scaleMismatch({ scale }: ClipboardTable, { currency, unit }: Settings): string | null {
  if (!scale || (scale.currency === currency && scale.unit === unit)) return null
  return `copied from a plan in ${unitLabel(scale.currency, scale.unit)}, but this plan is in ${unitLabel(currency, unit)}.`
}

function scaleProblem(table: ClipboardTable, cell: string, settings: Settings): string | null {
  const mismatch = scaleMismatch(table, settings)
  return mismatch === null || isBlankAmount(cell) ? null : `“${cell}” was ${mismatch}`
}

/** Adds a position for a pasted row. A row with a value that does not fit is not added. */
function addRow(
  changes: CellChanges,
  fields: readonly Field[],
  row: readonly string[],
  number: number,
  read: (field: Field, text: string) => { value: FieldValue } | { problem: string },
): void {
  if (row.every((cell) => cell.trim() === "")) return
  const texts = new Map(fields.map((field, index) => [keyOf(field), row[index] ?? ""]))
  const name = texts.get("designation")?.trim()
  const problems: string[] = []
  const readField = (field: Field): FieldValue => {
    const parsed = read(field, texts.get(keyOf(field)) ?? "")
    if ("value" in parsed) return parsed.value
    problems.push(`${fieldLabel(field)}: ${parsed.problem}`)
    return null
  }
  const position = fieldValues(readField)
  const own = fields.filter(isOwnColumn).map((column) => [column.key, readField(column)] as const)
  const [problem] = problems
  if (problem === undefined) changes.additions.push(own.length > 0 ? { ...position, own: Object.fromEntries(own) } : position)
  else changes.refusals.push({ cell: name ? `New position “${name}”` : `Row ${number.toLocaleString()}`, reason: problem })
}

/** The values of a rectangle, as they are copied. */
export const valuesIn = (positions: readonly Position[], rect: Rect, fields: readonly Field[] = FIELDS): FieldValue[][] =>
  positionsIn(positions, rect).map((position) => fieldsOf(rect, fields).map((field) => shownValue(position, keyOf(field))))
