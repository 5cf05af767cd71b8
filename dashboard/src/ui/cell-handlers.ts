/** What the grid does to cells: clears, fills and pastes them. */
import { clearCells, fillCells, pasteCells } from "../grid/cell-changes"
import { type ClipboardTable, isImportTable, toTabSeparated } from "../grid/clipboard"
import type { Rect } from "../grid/range"
import type { Position, Settings } from "../plan/schema"
import type { PlanActions } from "./plan-actions"

interface Options {
  actions: PlanActions
  /** The positions of the grid. */
  positions: readonly Position[]
  settings: Settings
  /** Imports a table that names its columns. */
  onTable: (text: string) => void
}

export const cellHandlers = ({ actions, positions, settings, onTable }: Options) => ({
  onClear: (rect: Rect, cut: boolean) =>
    actions.changeCells(clearCells(positions, rect), cut ? { done: "Cut", noun: "cut" } : { done: "Cleared", noun: "clearing" }),
  onFill: (source: Rect, target: Rect) => actions.changeCells(fillCells(positions, source, target), { done: "Filled", noun: "filling" }),
  onPaste: (target: Rect | "below", table: ClipboardTable, onAdded: (ids: readonly string[]) => void) => {
    if (isImportTable(table)) onTable(toTabSeparated(table))
    else actions.changeCells(pasteCells(positions, target, table, settings), { done: "Pasted", noun: "paste" }, onAdded)
  },
})
