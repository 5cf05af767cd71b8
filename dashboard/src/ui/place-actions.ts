/** The user's actions on department budgets and saved views: each is recorded for undo, and reported in a message. */
import type { UrlHeads } from "@automerge/automerge-repo/slim"
import type { PlanColumns } from "../plan/columns"
import { type DepartmentBudgetChange, setDepartmentBudgets } from "../plan/department-budgets"
import { type Place, resolvePlace } from "../plan/root-map"
import { addSavedView, deleteSavedView, type SavedView, type SavedViewField, savedViewPlace, setSavedView } from "../plan/saved-views"
import type { Action } from "../plan/undo"
import type { PlanStore } from "../sync/plan-store"
import type { ToastAction } from "./Toast"

export const BOTH_KEPT = "Somebody else changed this at the same time. Both values are kept; choose one."

/** A place of the plan inside a sentence: `the budget of “Engineering”`. */
export function placeLabel([map, key = "", field]: Place, columns: PlanColumns): string {
  if (map === "departmentBudgets") return `the budget of “${key}”`
  if (map === "views") return field === "name" ? "the name of a view" : "a saved view"
  if (map === "columns")
    return `${field === undefined ? "" : `the ${COLUMN_PLACES.get(field) ?? field} of `}the column “${columns.label(key)}”`
  if (map === "versions") return field === "name" ? "the name of a version" : "a named version"
  if (map === "scenarios") return "a scenario of the plan"
  return key === "" ? map : `${map} of the plan`
}

/** Parts of a column, as its entry names them. */
const COLUMN_PLACES = new Map([
  ["title", "name"],
  ["order", "place"],
  ["deleted", "deletion"],
])

export interface PlaceActionsOptions {
  store: PlanStore
  author: string
  showToast: (text: string, ...actions: ToastAction[]) => void
  /** The button of a message that undoes an action. */
  undoButton: (action: Action | null) => ToastAction[]
}

export function placeActions({ store, author, showToast, undoButton }: PlaceActionsOptions) {
  const { plan, undoStack } = store
  return {
    /** `base`: the heads at which the user saw the budgets. */
    setDepartmentBudgets(changes: readonly DepartmentBudgetChange[], base: UrlHeads): void {
      const [only] = changes
      if (!only) return
      const what = changes.length === 1 ? `the budget of “${only.name}”` : `the budgets of ${changes.length} departments`
      const { result, action } = undoStack.record(
        `change of ${what}`,
        () => setDepartmentBudgets(plan, changes, author, base),
        ({ places }) => ({ places }),
      )
      if (result.isContested) showToast(BOTH_KEPT)
      else showToast(`Changed ${what}.`, ...undoButton(action))
    },
    saveView(name: string, view: string): string {
      const { result, action } = undoStack.record(
        `saving of the view “${name}”`,
        () => addSavedView(plan, name, view, author),
        (id) => ({ places: [savedViewPlace(id)] }),
      )
      showToast(`Saved the view “${name}” for everybody.`, ...undoButton(action))
      return result
    },
    /** `base`: the heads at which the user saw the view. */
    changeView({ id, name }: SavedView, field: SavedViewField, value: string, base: UrlHeads): void {
      const what = field === "name" ? "renaming" : "update"
      const { result: isContested, action } = undoStack.record(
        `${what} of the view “${name}”`,
        () => setSavedView(plan, id, field, value, author, base),
        () => ({ places: [savedViewPlace(id, field)] }),
      )
      if (isContested) showToast(BOTH_KEPT)
      else showToast(field === "name" ? `Renamed the view to “${value}”.` : `Updated the view “${name}”.`, ...undoButton(action))
    },
    deleteView({ id, name }: SavedView): void {
      const { action } = undoStack.record(
        `deletion of the view “${name}”`,
        () => deleteSavedView(plan, id, name, author),
        () => ({ places: [savedViewPlace(id)] }),
      )
      showToast(`Deleted the view “${name}”.`, ...undoButton(action))
    },
    /** Keeps the value of one operation. */
    resolvePlace(place: Place, operation: string): void {
      const label = placeLabel(place, store.getSnapshot().columns)
      const { action } = undoStack.record(
        `resolution of ${label}`,
        () => resolvePlace(plan, place, operation, `${author}: resolved ${label}`),
        () => ({ places: [place] }),
      )
      showToast(`Conflict in ${label} resolved.`, ...undoButton(action))
    },
  }
}
