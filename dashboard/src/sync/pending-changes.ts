/** Which plans have changes that the server has not got, and how many: for whoever opens the page next, with whatever plan. */
import { planKey, plansWithKey } from "./storage-keys"

export function savePendingCount(owner: string, plan: string, changes: number): void {
  const key = planKey("unsent", owner, plan)
  try {
    if (changes > 0) localStorage.setItem(key, String(changes))
    else localStorage.removeItem(key)
  } catch {
    // It is full. The change itself must not fail for that.
  }
}

/** Changes by plan. */
export function readPendingCounts(owner: string): ReadonlyMap<string, number> {
  return new Map(
    plansWithKey("unsent", owner)
      .map((plan): [string, number] => [plan, Number(localStorage.getItem(planKey("unsent", owner, plan)))])
      .filter(([, changes]) => changes > 0),
  )
}
