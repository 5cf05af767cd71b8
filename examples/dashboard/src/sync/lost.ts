/** What somebody was typing when the position was deleted: kept in this browser until they say what becomes of it. */
import type { Deleted } from "../plan/edit"
import type { Field } from "../plan/schema"
import { planKey } from "./remembered"

export interface Lost {
  key: string
  /** The position as it was seen last. */
  row: Deleted
  field: Field
  /** As it was typed. */
  text: string
}

const place = (owner: string, plan: string) => planKey("lost", owner, plan)

export function readLost(owner: string, plan: string): readonly Lost[] {
  try {
    const read = JSON.parse(localStorage.getItem(place(owner, plan)) ?? "[]") as unknown
    return Array.isArray(read) ? (read as Lost[]) : []
  } catch {
    return []
  }
}

/** Other tabs keep theirs at the same place. */
export function keepLost(owner: string, plan: string, lost: Lost): readonly Lost[] {
  return save(owner, plan, [...readLost(owner, plan), lost])
}

export function dropLost(owner: string, plan: string, { key }: Lost): readonly Lost[] {
  return save(
    owner,
    plan,
    readLost(owner, plan).filter((lost) => lost.key !== key),
  )
}

function save(owner: string, plan: string, all: readonly Lost[]): readonly Lost[] {
  try {
    if (all.length > 0) localStorage.setItem(place(owner, plan), JSON.stringify(all))
    else localStorage.removeItem(place(owner, plan))
  } catch {
    // Where nothing can be stored it lasts as long as the page.
  }
  return all
}
