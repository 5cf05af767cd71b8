/** Groups of a list: positions with the same folded name in a field, in the order in which the list shows them. */
import { type GroupField, isChoiceField, keyOf } from "./fields"
import { type Group, groupPositions, type Sort } from "./query"
import type { Position } from "./schema"

/** A group and its positions, which keep their order. */
export interface PositionGroup extends Group {
  positions: readonly Position[]
}

const collator = new Intl.Collator(undefined, { sensitivity: "base", numeric: true })

/**
 * Groups sorted positions. Choices are in their order, other groups in alphabetical order; if the list is sorted by the field of the groups
 * in descending order, the groups are, too. Positions without a name come last in both directions.
 */
export function groupRows(positions: readonly Position[], field: GroupField, sort: Sort | null): PositionGroup[] {
  const groups = groupPositions(positions, field).map(({ members, ...group }) => ({ ...group, positions: members }))
  const named = groups.filter(({ key }) => key !== "")
  if (!isChoiceField(field)) named.sort((one, other) => collator.compare(one.name, other.name))
  if (sort?.key === keyOf(field) && !sort.ascending) named.reverse()
  return [...named, ...groups.filter(({ key }) => key === "")]
}
