/** What a row tells the grid, and what the grid tells a row about its cells. */
import type { PointerEvent } from "react"
import type { ColumnKey, Field } from "../../plan/fields"
import type { ParsedInput } from "../../plan/input"
import type { FieldValue } from "../../plan/schema"
import type { NextCell } from "./CellEditor"
import type { Column } from "./columns"

/** The open editor of a cell. */
export interface CellEdit {
  column: ColumnKey
  initialText: string | null
}

/** The selected cells of a row. One object is shared by all rows with the same cells, so that memoized rows do not render again. */
export interface RowRange {
  /** Indices into the columns that the list shows, inclusive. */
  left: number
  right: number
  /** The row is the first or last one of the range. */
  isTop: boolean
  isBottom: boolean
  /** More than one cell is selected. */
  isMultiple: boolean
  /** The cells are about to be filled. */
  isFill: boolean
  /** The handle that fills is in the last cell. */
  hasHandle: boolean
}

/** Callbacks from a row to the grid. The object never changes. */
export interface RowActions {
  select(id: string, isRange: boolean): void
  enter(id: string, column: Column): void
  /** A mouse button was pressed on a cell, on the head of a row, or on the handle that fills. */
  press(id: string, column: Column, event: PointerEvent): void
  pressHandle(event: PointerEvent): void
  edit(id: string, column: ColumnKey): void
  draft(text: string): void
  read(field: Field, text: string): ParsedInput
  commit(id: string, field: ColumnKey, value: FieldValue, next: NextCell): void
  leave(id: string, field: ColumnKey, next: NextCell): void
  cancel(id: string, field: ColumnKey): void
  conflict(id: string, field: ColumnKey): void
  comments(id: string): void
  history(id: string): void
  remove(id: string): void
}
