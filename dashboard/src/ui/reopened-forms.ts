/** The forms that were open, with something typed, when the page was reloaded. */
import type { UrlHeads } from "@automerge/automerge-repo/slim"
import type { DepartmentBudgetsAtHeads } from "../plan/department-budgets"
import type { SettingsAtHeads } from "../plan/edit"
import type { ColumnAtHeads } from "../plan/own-columns"
import type { FormDraft, FormDrafts, FormName } from "../sync/form-drafts"
import type { PlanStore } from "../sync/plan-store"
import type { BulkDraft } from "./BulkEditDialog"
import type { ListDialog } from "./ListDialogs"
import type { OpenDialog } from "./PlanDialogs"

/** What is read from the plan when a form is opened. */
type OpenedPlan = Pick<PlanStore, "contains" | "readSettings" | "readDepartmentBudgets" | "readColumn">

export interface ReopenedForms {
  /** The dialog of the plan; `null` if none was open. */
  open: OpenDialog | null
  /** The dialog of the list; `null` if none was open. */
  dialog: ListDialog | null
}

/** Forms that are opened again. That for a new position is part of the list and stays as it is. */
const DIALOG_FORMS = ["settings", "bulk", "budgets", "column"] as const satisfies readonly FormName[]

/** Reads the forms that were open. The texts of the others are removed: a form that the user opens starts with what is in the plan. */
export function reopenForms(drafts: FormDrafts, plan: OpenedPlan, canEdit: boolean): ReopenedForms {
  const read = (form: FormName) => (canEdit ? drafts.read(form) : null)
  const open = reopenedDialog(read, plan)
  const dialog = reopenedListDialog(read, plan)
  for (const form of DIALOG_FORMS) if (form !== open?.kind && form !== dialog?.kind) drafts.clear(form)
  return { open, dialog }
}

type Read = (form: FormName) => FormDraft | null

function reopenedDialog(read: Read, plan: OpenedPlan): OpenDialog | null {
  const settings = read("settings")
  return settings && { kind: "settings", before: openedBefore<SettingsAtHeads>(settings, plan) ?? plan.readSettings() }
}

function reopenedListDialog(read: Read, plan: OpenedPlan): ListDialog | null {
  const bulk = read("bulk")
  if (bulk) return { kind: "bulk", ids: (bulk.typed as BulkDraft).ids }
  const column = read("column")
  if (column) {
    const before = openedBefore<ColumnAtHeads>(column, plan)
    if (before) return { kind: "column", before }
    const key = (column.opened as Partial<ColumnAtHeads> | null)?.column?.key ?? null
    const now = plan.readColumn(key)
    // The column is in no change that this copy has.
    return key !== null && now.column === null ? null : { kind: "column", before: now }
  }
  const budgets = read("budgets")
  return budgets && { kind: "budgets", before: openedBefore<DepartmentBudgetsAtHeads>(budgets, plan) ?? plan.readDepartmentBudgets() }
}

/**
 * What a form showed when it was opened. `null` if this copy does not have these changes, such as after a crash: the form then shows what is in
 * the plan now, with only what the user has typed on top.
 */
function openedBefore<Opened extends { heads: UrlHeads }>({ opened }: FormDraft, plan: OpenedPlan): Opened | null {
  const before = opened as Opened | null
  return before !== null && Array.isArray(before.heads) && plan.contains(before.heads) ? before : null
}
