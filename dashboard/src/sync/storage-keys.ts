/** Keys in `localStorage`. Every key contains the user it belongs to. */
import { isValidDocumentId } from "@automerge/automerge-repo/slim"
import { STORAGE_PREFIX } from "./storage-prefix"

/**
 * Data about a plan: heads that the server has, number of unsynced changes, dismissed review items, unsaved drafts, comments that were not
 * sent, actions that can be undone, an import that is being written, and widths of columns.
 */
const PLAN_KEY_KINDS = ["heads", "unsent", "dismissed", "lost", "comments", "undo", "import", "widths"] as const
type PlanKeyKind = (typeof PLAN_KEY_KINDS)[number]

const PREFIX = `${STORAGE_PREFIX}.`

export const planKey = (kind: PlanKeyKind, owner: string, plan: string): string => `${PREFIX}${kind}.${owner}.${plan}`

/** The rest of each key after a prefix. */
const suffixesOf = (begin: string): string[] =>
  Object.keys(localStorage)
    .filter((key) => key.startsWith(begin))
    .map((key) => key.slice(begin.length))

/** The plans with a stored key of this kind. User names may contain dots; plan ids do not. */
export const plansWithKey = (kind: PlanKeyKind, owner: string): string[] => suffixesOf(planKey(kind, owner, "")).filter(isValidDocumentId)

/** Removes all keys of one user and none of other users. */
export function removeStoredKeys(owner: string): void {
  for (const name of suffixesOf(PREFIX)) {
    const rest = name.slice(name.indexOf(".") + 1)
    const isOwn = rest.startsWith(`${owner}.`) && isValidDocumentId(rest.slice(owner.length + 1))
    if (isOwn || name === `plans.${owner}`) localStorage.removeItem(PREFIX + name)
  }
}

/** Removes all keys of one plan of a user. */
export function removePlanKeys(owner: string, plan: string): void {
  for (const kind of PLAN_KEY_KINDS) localStorage.removeItem(planKey(kind, owner, plan))
}
