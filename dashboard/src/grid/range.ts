/** Rectangles of cells. A range is kept by ids, so that it stays on its positions when the list is sorted or another user adds rows. */
import { type ColumnKey, FIELDS, type Field, fieldLabel, keyOf } from "../plan/fields"
import type { Position } from "../plan/schema"

/** A cell of a position. */
export interface CellRef {
  id: string
  field: ColumnKey
}

/** Two opposite corners: where the selection started, and the corner that moves when it is extended. */
export interface CellRange {
  anchor: CellRef
  head: CellRef
}

/** A range as indices into the shown list and into the columns that it shows, all inclusive. */
export interface Rect {
  top: number
  bottom: number
  left: number
  right: number
}

/** The rectangle of a range; `null` if one of its corners is not in the list. `fields`: the columns that the list shows. */
export function toRect(
  { anchor, head }: CellRange,
  indexById: ReadonlyMap<string, number>,
  fields: readonly Field[] = FIELDS,
): Rect | null {
  const [one, other] = [indexById.get(anchor.id), indexById.get(head.id)]
  const columnOf = (key: ColumnKey) => fields.findIndex((field) => keyOf(field) === key)
  const [first, second] = [columnOf(anchor.field), columnOf(head.field)]
  if (one === undefined || other === undefined || first < 0 || second < 0) return null
  return { top: Math.min(one, other), bottom: Math.max(one, other), left: Math.min(first, second), right: Math.max(first, second) }
}

export const rowCount = ({ top, bottom }: Rect): number => bottom - top + 1
export const columnCount = ({ left, right }: Rect): number => right - left + 1
export const isSingleCell = (rect: Rect): boolean => rowCount(rect) === 1 && columnCount(rect) === 1
export const fieldsOf = ({ left, right }: Rect, fields: readonly Field[] = FIELDS): readonly Field[] => fields.slice(left, right + 1)
export const positionsIn = (positions: readonly Position[], { top, bottom }: Rect): readonly Position[] => positions.slice(top, bottom + 1)

const counted = (count: number, one: string, many: string): string => `${count.toLocaleString()} ${count === 1 ? one : many}`

/** `12 cells`. */
export const countCells = (count: number): string => counted(count, "cell", "cells")
/** `3 positions`. */
export const countPositions = (count: number): string => counted(count, "position", "positions")

/** A range for screen readers: `3 rows, 2 columns selected, from Designation of Cook to Department of Waiter`. */
export function describeRange(positions: readonly Position[], rect: Rect, fields: readonly Field[] = FIELDS): string {
  const cell = (row: number, column: number) =>
    `${fieldLabel(fields[column] ?? "")} of ${positions[row]?.designation || "an untitled position"}`
  const size = `${counted(rowCount(rect), "row", "rows")}, ${counted(columnCount(rect), "column", "columns")} selected`
  return `${size}, from ${cell(rect.top, rect.left)} to ${cell(rect.bottom, rect.right)}`
}
