/** What this browser remembers of a user beside the local copies. Every key says whose it is. */
import { isValidDocumentId } from "@automerge/automerge-repo/slim"
import { STORAGE } from "./place"

/**
 * Of a plan: the heads that the server has, how many changes it has not got, what was looked at and put away, and what was typed into
 * a position that was deleted.
 */
type OfPlan = "heads" | "unsent" | "dismissed" | "lost"

const ROOT = `${STORAGE}.`

export const plansKey = (owner: string): string => `${ROOT}plans.${owner}`
export const planKey = (what: OfPlan, owner: string, plan: string): string => `${ROOT}${what}.${owner}.${plan}`

/** What follows these beginnings in the names of keys. */
const after = (begin: string): string[] =>
  Object.keys(localStorage)
    .filter((key) => key.startsWith(begin))
    .map((key) => key.slice(begin.length))

/** The plans of which this is remembered. (Users' names may have dots, ids of plans have none.) */
export const plansWith = (what: OfPlan, owner: string): string[] => after(planKey(what, owner, "")).filter(isValidDocumentId)

/** All of one user's, and nothing of anybody else's. */
export function forgetRemembered(owner: string): void {
  for (const name of after(ROOT)) {
    const rest = name.slice(name.indexOf(".") + 1)
    const isOwn = rest.startsWith(`${owner}.`) && isValidDocumentId(rest.slice(owner.length + 1))
    if (isOwn || name === `plans.${owner}`) localStorage.removeItem(ROOT + name)
  }
}
