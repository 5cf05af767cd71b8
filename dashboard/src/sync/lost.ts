/** Text that somebody was typing into a position when it was deleted: kept in this browser until they decide about it. */
import type { Field } from "../plan/schema"
import { planKey } from "./remembered"

export interface Lost {
  key: string
  /** The position, and what it was called. */
  id: string
  name: string
  /** The document's heads when it was seen last, in hexadecimal: there the position is, whole. */
  heads: string[]
  field: Field
  /** As it was typed. */
  text: string
}

/** As earlier versions of this page have stored it: with the fields of the row, and without heads. */
interface Earlier {
  row: { id: string; designation: string }
}

const place = (owner: string, plan: string) => planKey("lost", owner, plan)

export function readLost(owner: string, plan: string): readonly Lost[] {
  try {
    const read = JSON.parse(localStorage.getItem(place(owner, plan)) ?? "[]") as unknown
    return Array.isArray(read) ? (read as (Lost | (Lost & Earlier))[]).map(upgrade) : []
  } catch {
    return []
  }
}

const upgrade = (lost: Lost | (Lost & Earlier)): Lost =>
  "row" in lost ? { key: lost.key, id: lost.row.id, name: lost.row.designation, heads: [], field: lost.field, text: lost.text } : lost

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
