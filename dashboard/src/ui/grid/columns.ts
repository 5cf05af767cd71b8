/** The columns of the grid. */
import type { GridLine } from "../../grid/grid-lines"
import type { CellRef } from "../../grid/range"
import { FIELD_DEFINITIONS, FIELDS, type FieldKey, isAmountField, isFieldKey, isHiddenOnPhones } from "../../plan/fields"

export type Column = FieldKey | "select" | "updatedAt" | "actions"

/** Columns from left to right. */
export const COLUMNS: readonly Column[] = ["select", ...FIELDS, "updatedAt", "actions"]

/** The column that names the position. */
export const FIRST_FIELD: FieldKey = FIELD_DEFINITIONS[0].key
export const LAST_FIELD = FIELDS.at(-1) as FieldKey

export const isFieldColumn = (column: Column): column is FieldKey => isFieldKey(column)

/** A cell of a position, or of another line of the grid. */
export interface CellPosition {
  id: string
  column: Column
}

/** The cell of a field next to a cell: a selection has no other columns. */
export const fieldCell = ({ id, column }: CellPosition): CellRef => ({ id, field: isFieldColumn(column) ? column : FIRST_FIELD })

/** The id that cells of a line refer to. */
export const lineId = (line: GridLine): string => (line.kind === "group" ? line.id : line.position.id)

/** CSS classes of the cells of a column. */
export const fieldClasses = (field: FieldKey): string =>
  `${isAmountField(field) ? " cell-amount" : ""}${isHiddenOnPhones(field) ? " not-on-phones" : ""}`
