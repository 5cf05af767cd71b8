/** What this browser remembers of a user beside the local copies. Every key says whose it is. */
import { isValidDocumentId } from "@automerge/automerge-repo/slim"
import { STORAGE_PREFIX } from "./storage-prefix"

/**
 * Of a plan: the heads that the server has, how many changes it has not got, what was looked at and put away, and what was typed into
 * a position that was deleted.
 */
type PlanKeyKind = "heads" | "unsent" | "dismissed" | "lost"

const ROOT = `${STORAGE_PREFIX}.`

export const plansKey = (owner: string): string => `${ROOT}plans.${owner}`
export const planKey = (kind: PlanKeyKind, owner: string, plan: string): string => `${ROOT}${kind}.${owner}.${plan}`

/** What follows these beginnings in the names of keys. */
const suffixes = (begin: string): string[] =>
  Object.keys(localStorage)
    .filter((key) => key.startsWith(begin))
    .map((key) => key.slice(begin.length))

/** The plans of which this is remembered. (Users' names may have dots, ids of plans have none.) */
export const plansWithKey = (kind: PlanKeyKind, owner: string): string[] => suffixes(planKey(kind, owner, "")).filter(isValidDocumentId)

/** All of one user's, and nothing of anybody else's. */
export function removeStoredKeys(owner: string): void {
  for (const name of suffixes(ROOT)) {
    const rest = name.slice(name.indexOf(".") + 1)
    const isOwn = rest.startsWith(`${owner}.`) && isValidDocumentId(rest.slice(owner.length + 1))
    if (isOwn || name === `plans.${owner}`) localStorage.removeItem(ROOT + name)
  }
}
