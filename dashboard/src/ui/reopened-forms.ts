/** The forms that were open, with something typed, when the page was reloaded. */
import type { FormDrafts } from "../sync/form-drafts"
import type { PlanStore } from "../sync/plan-store"
import type { BulkDraft } from "./BulkEditDialog"
import type { ColumnDraft } from "./ColumnDialog"
import type { ListDialog } from "./ListDialogs"
import type { OpenDialog } from "./PlanDialogs"

/** The dialog of the plan that was open; `null` if none was. */
export const reopenedDialog = (drafts: FormDrafts, store: PlanStore): OpenDialog | null =>
  drafts.read("settings") === null ? null : { kind: "settings", before: store.readSettings() }

/** The dialog of the list that was open; `null` if none was. */
export function reopenedListDialog(drafts: FormDrafts, store: PlanStore): ListDialog | null {
  const bulk = drafts.read("bulk") as BulkDraft | null
  if (bulk) return { kind: "bulk", ids: bulk.ids }
  const column = drafts.read("column") as ColumnDraft | null
  if (column) return { kind: "column", key: column.key }
  return drafts.read("budgets") === null ? null : { kind: "budgets", before: store.readDepartmentBudgets() }
}
