/** The columns of the grid. */
import type { GridLine } from "../../grid/grid-lines"
import type { CellRef } from "../../grid/range"
import {
  type ColumnKey,
  FIELD_DEFINITIONS,
  type Field,
  type FieldKey,
  isHiddenOnPhones,
  isNumeric,
  isOwnColumn,
  keyOf,
} from "../../plan/fields"

/** Columns that are no fields. */
type OtherColumn = "select" | "updatedAt" | "actions"
export type Column = ColumnKey | OtherColumn

/** Columns from left to right. `fields`: those that the list shows. */
export const columnsOf = (fields: readonly Field[], canEdit: boolean): readonly Column[] => [
  ...(canEdit ? (["select"] as const) : []),
  ...fields.map(keyOf),
  "updatedAt",
  "actions",
]

/** The column that names the position. It is always shown. */
export const FIRST_FIELD: FieldKey = FIELD_DEFINITIONS[0].key
export const lastField = (fields: readonly Field[]): ColumnKey => keyOf(fields.at(-1) ?? FIRST_FIELD)

export const isFieldColumn = (column: Column): column is ColumnKey => column !== "select" && column !== "updatedAt" && column !== "actions"

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
export const fieldClasses = (field: Field): string =>
  `cell cell-${isOwnColumn(field) ? "own" : field}${isNumeric(field) ? " cell-amount" : ""}${isHiddenOnPhones(field) ? " not-on-phones" : ""}`
