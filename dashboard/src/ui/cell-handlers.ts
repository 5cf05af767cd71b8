/** What the grid does to cells: clears, fills and pastes them. */
import { clearCells, fillCells, pasteCells } from "../grid/cell-changes"
import { type ClipboardTable, isImportTable, toTabSeparated } from "../grid/clipboard"
import type { Rect } from "../grid/range"
import type { PlanColumns } from "../plan/columns"
import type { Field } from "../plan/fields"
import type { Position, Settings } from "../plan/schema"
import type { PlanActions } from "./plan-actions"

interface Options {
  actions: PlanActions
  /** The positions of the grid. */
  positions: readonly Position[]
  /** The columns that the list shows, and all of them. */
  fields: readonly Field[]
  columns: PlanColumns
  settings: Settings
  /** Imports a table that names its columns. */
  onTable: (text: string) => void
}

export const cellHandlers = ({ actions, positions, fields, columns, settings, onTable }: Options) => ({
  onClear: (rect: Rect, cut: boolean) =>
    actions.changeCells(clearCells(positions, rect, fields), cut ? { done: "Cut", noun: "cut" } : { done: "Cleared", noun: "clearing" }),
  onFill: (source: Rect, target: Rect) =>
    actions.changeCells(fillCells(positions, source, target, fields), { done: "Filled", noun: "filling" }),
  onPaste: (target: Rect | "below", table: ClipboardTable, onAdded: (ids: readonly string[]) => void) => {
    if (isImportTable(table, columns.own)) onTable(toTabSeparated(table))
    else actions.changeCells(pasteCells(positions, target, table, settings, fields), { done: "Pasted", noun: "paste" }, onAdded)
  },
})
