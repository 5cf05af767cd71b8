/** The order of the list: the newest positions first. */
import type { Position } from "./schema"

/** Rows without a creation time come last. No two positions are equal. */
export function newestFirst(one: Position, other: Position): number {
  const [first, second] = [one.createdAt ?? Number.NEGATIVE_INFINITY, other.createdAt ?? Number.NEGATIVE_INFINITY]
  if (first !== second) return second > first ? 1 : -1
  return one.id < other.id ? -1 : one.id > other.id ? 1 : 0
}

/**
 * A sorted list with some positions replaced. `changed`: the positions of the list that have changed, by id; `undefined` for new ones.
 * `current`: the positions as they are now. Returns the same list if nothing differs.
 */
export function patchSorted(
  list: readonly Position[],
  changed: ReadonlyMap<string, Position | undefined>,
  current: ReadonlyMap<string, Position>,
): readonly Position[] {
  let next: Position[] | null = null
  for (const [id, before] of changed) {
    const now = current.get(id)
    if (before === now) continue
    next ??= [...list]
    const at = placeOf(next, (before ?? now) as Position)
    // Most edits leave the position in its place.
    if (before && now && before.createdAt === now.createdAt) next[at] = now
    else {
      if (before) next.splice(at, 1)
      if (now) next.splice(placeOf(next, now), 0, now)
    }
  }
  return next ?? list
}

/** The index of a position, or the one that it would have. */
function placeOf(list: readonly Position[], position: Position): number {
  let [low, high] = [0, list.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (newestFirst(list[middle] as Position, position) < 0) low = middle + 1
    else high = middle
  }
  return low
}
