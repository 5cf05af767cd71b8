/** Figures of a printed plan: what is printed, shares of groups, and open conflicts. */
import { FIELDS, type FieldKey, fieldLabel, GROUP_FIELDS, type GroupKey, isAmountField, isTextField } from "./fields"
import { distinctGroups, type Filter, type Group, groupTotals, sumBudgets } from "./query"
import type { Position, SettingConflicts } from "./schema"

/** A group with its share of the sum of all groups, from 0 to 1; 0 if there is no sum. */
export interface GroupShare extends Group {
  share: number
}

export function groupShares(positions: readonly Position[], field: GroupKey): GroupShare[] {
  const sum = sumBudgets(positions)
  return groupTotals(positions, field).map((group) => ({ ...group, share: sum > 0 ? group.budget / sum : 0 }))
}

/** Number of fields and settings with several concurrent values. */
export function countConflicts(positions: readonly Position[], settings: SettingConflicts | null): number {
  const cells = positions.reduce((count, { conflicts }) => count + (conflicts ? Object.keys(conflicts).length : 0), 0)
  return cells + (settings ? Object.keys(settings).length : 0)
}

/** The parts of a filter in words, such as `Department: Sales`; empty if nothing is filtered. `positions`: all of the plan. */
export function describeFilter({ search, groups }: Filter, positions: readonly Position[]): string[] {
  const parts = GROUP_FIELDS.flatMap((field) => {
    const key = groups[field]
    if (key === undefined) return []
    const group = distinctGroups(positions, field).find((group) => group.key === key)
    return [`${fieldLabel(field)}: ${group?.name ?? key}`]
  })
  return search.trim() === "" ? parts : [...parts, `Search: “${search.trim()}”`]
}

/** The columns of the printed list. A choice or a month without a value in any of the positions is left out. */
export const printedFields = (positions: readonly Position[]): FieldKey[] =>
  FIELDS.filter((field) => isTextField(field) || isAmountField(field) || positions.some((position) => isFilled(position, field)))

const isFilled = (position: Position, field: FieldKey): boolean =>
  position[field] !== null || position.mistyped?.[field] !== undefined || position.conflicts?.[field] !== undefined
