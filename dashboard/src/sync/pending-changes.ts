/** Number of unsynced changes by plan, stored for the next page load. */
import { planKey, plansWithKey } from "./storage-keys"
import { storeItem } from "./stored-items"

export function savePendingCount(owner: string, plan: string, changes: number): void {
  storeItem(planKey("unsent", owner, plan), changes > 0 ? String(changes) : null)
}

/** Number of unsynced changes by plan. */
export function readPendingCounts(owner: string): ReadonlyMap<string, number> {
  return new Map(
    plansWithKey("unsent", owner)
      .map((plan): [string, number] => [plan, Number(localStorage.getItem(planKey("unsent", owner, plan)))])
      .filter(([, changes]) => changes > 0),
  )
}
