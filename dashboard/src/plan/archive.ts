/**
 * Archived plans: the root key `archived` is `true`. Other values, such as those of other programs, do not archive a plan. Restoring deletes
 * the key, so that of two people who archive and restore a plan at the same time, archiving wins, and nobody sees a conflict.
 */
import type { Plan } from "./edit"

export const ARCHIVED = "archived"

export const isArchived = (doc: unknown): boolean => (doc as { archived?: unknown } | undefined)?.archived === true

export function setArchived(plan: Plan, archived: boolean, author: string): void {
  if (isArchived(plan.doc()) === archived) return
  plan.change(
    (doc) => {
      if (archived) doc.archived = true
      else delete doc.archived
    },
    { message: `${author}: ${archived ? "archived the plan" : "restored the plan from the archive"}` },
  )
}
