/** Groups of a list: positions with the same folded name in a field, in the order in which the list shows them. */
import type { GroupKey } from "./fields"
import { countUnknownBudgets, distinctGroups, type Group, groupTotals, type Sort } from "./query"
import type { Position } from "./schema"
import { createTextFolder } from "./text"

/** A group and its positions, which keep their order. */
export interface PositionGroup extends Group {
  positions: readonly Position[]
  /** Number of positions with an unknown budget, which the sum does not include. */
  unknown: number
}

/**
 * Groups sorted positions. The groups are in alphabetical order, or in the reverse order if the list is sorted by the field of the groups
 * in this direction. Positions without a name come last in both directions.
 */
export function groupRows(positions: readonly Position[], field: GroupKey, sort: Sort | null): PositionGroup[] {
  const fold = createTextFolder()
  const rows = new Map<string, Position[]>()
  for (const position of positions) {
    const key = fold(position[field])
    const group = rows.get(key)
    if (group) group.push(position)
    else rows.set(key, [position])
  }
  const named = distinctGroups(positions, field)
  if (sort?.key === field && !sort.ascending) named.reverse()
  const unnamed = groupTotals(positions, field).filter(({ key }) => key === "")
  return [...named, ...unnamed].map((group) => {
    const own = rows.get(group.key) ?? []
    return { ...group, positions: own, unknown: countUnknownBudgets(own) }
  })
}
