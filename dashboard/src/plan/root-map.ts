/**
 * Entries of the shared maps of a plan, such as the budgets of departments and the saved views.
 *
 * A place is the path of a value below the root: an entry, or a field of an entry. Places are written one by one, so that concurrent edits
 * of different places are both kept, and those of one place become a conflict.
 */
import type { next as A } from "@automerge/automerge/slim"
import type { UrlHeads } from "@automerge/automerge-repo/slim"
import type { Plan } from "./edit"
import { type Register, readRegister, toPlainValue, writeRegisters } from "./multi-value-register"
import { type Conflict, distinctLosingValues, type FieldValue, type PlanDoc } from "./schema"
import { ensureSharedMap, headsWithSharedMap, type SharedMapKey } from "./shared-map"

/** The path of a value in a shared map. */
export type Place = readonly [map: SharedMapKey, ...keys: string[]]

/** A new entry of a shared map. */
interface NewEntry {
  [key: string]: string | number | Date | NewEntry
}

/** A place and its new value; `null` deletes it. A value that is a map creates an entry. */
export interface PlaceWrite {
  place: Place
  value: FieldValue | boolean | Date | NewEntry
  /** The value only says who wrote the others: the last one wins. */
  isBookkeeping?: true
}

export const isEqualPlace = (one: Place, other: Place): boolean => one.length === other.length && one.every((key, at) => key === other[at])

/** The entries of a shared map with all their values; empty if the document has no map there. */
export function readEntries(doc: A.Doc<unknown>, map: SharedMapKey, heads?: UrlHeads): ReadonlyMap<string, Register> {
  const value = readRegister(doc, [map], heads).at(-1)?.value
  return value?.type === "map" ? value.entries : new Map()
}

/** The conflict of a register; `null` if its values are equal as the page shows them. */
export function conflictIn(register: Register, show: (value: unknown) => FieldValue): Conflict | null {
  const winner = register.at(-1)
  if (!winner) return null
  const losing = register.slice(0, -1).map(({ operation, value }) => ({ operation, value: show(toPlainValue(value)) }))
  const others = distinctLosingValues(losing, show(toPlainValue(winner.value)))
  return others.length > 0 ? { winner: winner.operation, losing: others } : null
}

/** Whether a place has the values of the same operations at two heads. */
function isUntouchedSince(doc: A.Doc<unknown>, place: Place, heads: UrlHeads): boolean {
  const operations = (register: Register) => register.map(({ operation }) => operation).join()
  return operations(readRegister(doc, place)) === operations(readRegister(doc, place, heads))
}

/**
 * Writes places of one shared map, which is created if it is missing. `base`: the heads at which the user saw them. A place that somebody
 * else has changed since becomes a conflict. Returns the places that have one.
 */
export function writePlaces(
  plan: Plan,
  map: SharedMapKey,
  writes: readonly PlaceWrite[],
  message: string,
  base: UrlHeads | null = null,
): Place[] {
  if (writes.length === 0) return []
  ensureSharedMap(plan, map)
  const isContested = ({ place, isBookkeeping }: PlaceWrite) =>
    base !== null && !isBookkeeping && !isUntouchedSince(plan.doc(), place, base)
  const contested = writes.filter(isContested)
  const apply = (chosen: readonly PlaceWrite[]) => (doc: PlanDoc) => {
    for (const { place, value } of chosen) {
      let object: Record<string, unknown> | undefined = doc as unknown as Record<string, unknown>
      for (const key of place.slice(0, -1)) object = object?.[key] as Record<string, unknown> | undefined
      const key = place.at(-1)
      // Somebody else has deleted the entry.
      if (typeof object !== "object" || object === null || key === undefined) continue
      if (value === null) delete object[key]
      else object[key] = value
    }
  }
  const plain = writes.filter((write) => !contested.includes(write))
  if (plain.length > 0) plan.change(apply(plain), { message })
  if (base && contested.length > 0) plan.changeAt(headsWithSharedMap(plan.doc(), base, map), apply(contested), { message })
  return contested.map(({ place }) => place)
}

/** Resolves a conflict of a place by keeping the value of one operation. */
export function resolvePlace(plan: Plan, place: Place, operation: string, message: string): void {
  const chosen = readRegister(plan.doc(), place).filter((written) => written.operation === operation)
  // Somebody else has resolved it already.
  if (chosen.length > 0) writeRegisters(plan, plan.heads(), [{ path: place, register: chosen }], message)
}
