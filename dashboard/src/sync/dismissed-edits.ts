/** Keys of the discarded edits that the user has dismissed from the review of a plan, kept in this browser. */
import { planKey } from "./storage-keys"

const MAX_KEYS = 500

export function readDismissed(owner: string, plan: string): ReadonlySet<string> {
  try {
    return new Set(JSON.parse(localStorage.getItem(planKey("dismissed", owner, plan)) ?? "[]") as string[])
  } catch {
    return new Set()
  }
}

export const saveDismissed = (owner: string, plan: string, keys: ReadonlySet<string>): void =>
  localStorage.setItem(planKey("dismissed", owner, plan), JSON.stringify([...keys].slice(-MAX_KEYS)))
