/** Figures of a printed plan: what is printed, shares of groups, and open conflicts. */
import { NO_COLUMNS, type PlanColumns } from "./columns"
import { FIELDS, type Field, fieldLabel, type GroupKey, isAmountField, isTextField, keyOf } from "./fields"
import { distinctGroups, type Filter, type Group, groupTotals, selectedGroups, sumBudgets } from "./query"
import { type Position, type SettingConflicts, shownValue } from "./schema"

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
export function describeFilter({ search, groups }: Filter, positions: readonly Position[], columns: PlanColumns = NO_COLUMNS): string[] {
  const chosen = new Map<string, string>(selectedGroups(groups))
  const parts = columns.groupFields.flatMap((field) => {
    const key = chosen.get(keyOf(field))
    if (key === undefined) return []
    const group = distinctGroups(positions, field).find((group) => group.key === key)
    return [`${fieldLabel(field)}: ${group?.name ?? key}`]
  })
  return search.trim() === "" ? parts : [...parts, `Search: “${search.trim()}”`]
}

/** The columns of the printed list: of those that the list shows, all but optional ones without a value in any of the positions. */
export const printedFields = (positions: readonly Position[], fields: readonly Field[] = FIELDS): Field[] =>
  fields.filter((field) => isTextField(field) || isAmountField(field) || positions.some((position) => isFilled(position, field)))

function isFilled(position: Position, field: Field): boolean {
  const key = keyOf(field)
  return shownValue(position, key) !== null || position.conflicts?.[key] !== undefined
}
