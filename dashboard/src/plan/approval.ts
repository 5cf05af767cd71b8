/**
 * The record of an approval: which budget was approved, when and by whom. It is written with the status “approved”, and stays when the status
 * or the budget changes later.
 */
import type { FieldValue, Position, PositionDoc } from "./schema"

/** The status that records an approval. */
export const APPROVED = "approved"

/** Keys of the record in a row. An unknown budget is absent. */
export const APPROVAL_KEYS = ["approvedBudget", "approvedAt", "approvedBy"] as const

/** The record as the page shows it. Author and time are those that the change claims. */
export interface Approval {
  /** In units of the plan; `null` if the budget was unknown. */
  budget: number | null
  /** Milliseconds since 1970; `null` if unknown. */
  at: number | null
  by: string
}

/** Records that a row with its current budget is approved. `budget`: its budget; `null` if it has none that is a number. */
export function recordApproval(row: PositionDoc, budget: number | null, author: string): void {
  if (budget === null) delete row.approvedBudget
  else row.approvedBudget = budget
  row.approvedAt = new Date()
  row.approvedBy = author
}

/** Whether a change of a field records an approval. */
export const recordsApproval = (field: string, value: FieldValue): boolean => field === "status" && value === APPROVED

/** Whether the budget of a position differs from the one that was approved. */
export const isChangedSinceApproval = ({ approval, budget, mistyped }: Position): boolean =>
  approval !== null && (mistyped?.budget !== undefined || budget !== approval.budget)
