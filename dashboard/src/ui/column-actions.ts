/** The user's actions on the columns of a plan: each is recorded for undo, and reported in a message. */
import type { UrlHeads } from "@automerge/automerge-repo/slim"
import { lastOrder, ordersAfterMove } from "../plan/column-order"
import {
  addColumn,
  type ColumnInput,
  columnPlace,
  columnWrites,
  moveColumns,
  type PlanColumn,
  setColumn,
  setColumnDeleted,
} from "../plan/own-columns"
import { BOTH_KEPT, type PlaceActionsOptions } from "./place-actions"

export function columnActions({ store, author, showToast, undoButton }: PlaceActionsOptions) {
  const { plan, undoStack } = store
  return {
    addColumn(input: ColumnInput): void {
      const { action } = undoStack.record(
        `addition of the column “${input.title}”`,
        () => addColumn(plan, input, lastOrder(store.getSnapshot().columns), author),
        (key) => ({ places: [columnPlace(key)] }),
      )
      showToast(`Added the column “${input.title}” for everybody.`, ...undoButton(action))
    },
    /** `base`: the heads at which the user saw the column. */
    changeColumn(column: PlanColumn, input: ColumnInput, base: UrlHeads): void {
      if (columnWrites(column, input).length === 0) return
      const { result, action } = undoStack.record(
        `change of the column “${column.label}”`,
        () => setColumn(plan, column, input, author, base),
        ({ places }) => ({ places }),
      )
      if (result.isContested) showToast(BOTH_KEPT)
      else if (input.title !== column.label) showToast(`Renamed the column to “${input.title}”.`, ...undoButton(action))
      else showToast(`Changed the column “${input.title}”.`, ...undoButton(action))
    },
    moveColumn(column: PlanColumn, by: -1 | 1): void {
      undoStack.record(
        `move of the column “${column.label}”`,
        () => moveColumns(plan, ordersAfterMove(store.getSnapshot().columns, column.key, by), column.label, author),
        (places) => ({ places }),
      )
    },
    deleteColumn(column: PlanColumn): void {
      const { action } = undoStack.record(
        `deletion of the column “${column.label}”`,
        () => setColumnDeleted(plan, column, true, author),
        (place) => ({ places: [place] }),
      )
      showToast(`Deleted the column “${column.label}”. Its values are kept.`, ...undoButton(action))
    },
    restoreColumn(column: PlanColumn): void {
      const { action } = undoStack.record(
        `restoration of the column “${column.label}”`,
        () => setColumnDeleted(plan, column, false, author),
        (place) => ({ places: [place] }),
      )
      showToast(`Restored the column “${column.label}”.`, ...undoButton(action))
    },
  }
}
