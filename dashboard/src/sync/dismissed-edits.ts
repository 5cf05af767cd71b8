/** Keys of the discarded edits that the user has dismissed from the review of a plan, kept in this browser. */
import { planKey } from "./storage-keys"
import { storeItem } from "./stored-items"

const MAX_KEYS = 500

export function readDismissed(owner: string, plan: string): ReadonlySet<string> {
  try {
    return new Set(JSON.parse(localStorage.getItem(planKey("dismissed", owner, plan)) ?? "[]") as string[])
  } catch {
    return new Set()
  }
}

/** Without storage the edits are dismissed as long as the page is open. */
export function saveDismissed(owner: string, plan: string, keys: ReadonlySet<string>): void {
  storeItem(planKey("dismissed", owner, plan), JSON.stringify([...keys].slice(-MAX_KEYS)))
}
