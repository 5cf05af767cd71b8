/** What this browser remembers of a user beside the local copies. Every key says whose it is. */

/** Of a plan: the heads that the server has, how many changes it has not got, and what was looked at and put away. */
type OfPlan = "heads" | "unsent" | "dismissed"

const ROOT = "happierwork"

export const plansKey = (owner: string): string => `${ROOT}.plans.${owner}`
export const planKey = (what: OfPlan, owner: string, plan: string): string => `${ROOT}.${what}.${owner}.${plan}`

/** The plans of which this is remembered. Users' names may have dots, ids of plans have none. */
export function plansWith(what: OfPlan, owner: string): string[] {
  const begin = planKey(what, owner, "")
  return Object.keys(localStorage)
    .filter((key) => key.startsWith(begin))
    .map((key) => key.slice(begin.length))
    .filter((plan) => plan !== "" && !plan.includes("."))
}

/** All of one user's, and nothing of anybody else's. */
export function forgetRemembered(owner: string): void {
  localStorage.removeItem(plansKey(owner))
  for (const what of ["heads", "unsent", "dismissed"] as const) {
    for (const plan of plansWith(what, owner)) localStorage.removeItem(planKey(what, owner, plan))
  }
}
