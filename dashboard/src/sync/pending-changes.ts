/** Number of unsynced changes by plan, stored for the next page load. */
import { planKey, plansWithKey } from "./storage-keys"

export function savePendingCount(owner: string, plan: string, changes: number): void {
  const key = planKey("unsent", owner, plan)
  try {
    if (changes > 0) localStorage.setItem(key, String(changes))
    else localStorage.removeItem(key)
  } catch {
    // Storage is full. The edit itself must not fail.
  }
}

/** Number of unsynced changes by plan. */
export function readPendingCounts(owner: string): ReadonlyMap<string, number> {
  return new Map(
    plansWithKey("unsent", owner)
      .map((plan): [string, number] => [plan, Number(localStorage.getItem(planKey("unsent", owner, plan)))])
      .filter(([, changes]) => changes > 0),
  )
}
