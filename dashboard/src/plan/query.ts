/** Searching, filtering, sorting and totals. */
import { choicesOf, FIELDS, type FieldKey, GROUP_FIELDS, type GroupKey, isAmountField, isChoiceField, isFieldKey } from "./fields"
import { displayValue } from "./format"
import { type Position, shownValue } from "./schema"
import { createTextFolder, toSearchText } from "./text"

export interface Filter {
  search: string
  /** Folded name of the selected group, by field. A field without an entry does not filter. */
  groups: Partial<Record<GroupKey, string>>
}

export const NO_FILTER: Filter = { search: "", groups: {} }

export const isFiltering = ({ search, groups }: Filter): boolean => search !== "" || selectedGroups(groups).length > 0

const selectedGroups = (groups: Filter["groups"]): GroupKey[] => GROUP_FIELDS.filter((field) => groups[field] !== undefined)

export type SortKey = FieldKey | "updatedAt" | "createdAt"
export interface Sort {
  key: SortKey
  ascending: boolean
}

const collator = new Intl.Collator(undefined, { sensitivity: "base", numeric: true })

const SEARCHED = FIELDS.filter((field) => !isAmountField(field))

/** The text of a cell. Months are found as `Jun 2027` and as `2027-06`. */
function searchableText(position: Position, field: FieldKey): string {
  const value = shownValue(position, field)
  const text = displayValue(field, value)
  return text === value ? text : `${text} ${value ?? ""}`
}

/** Returns the positions that match the filter and contain every search word, plus the position `pinnedId`. */
export function filterPositions(
  positions: readonly Position[],
  { search, groups }: Filter,
  pinnedId: string | null = null,
): readonly Position[] {
  const words = toSearchText(search).split(/\s+/).filter(Boolean)
  const fields = selectedGroups(groups)
  if (words.length === 0 && fields.length === 0) return positions
  const fold = createTextFolder()
  return positions.filter((position) => {
    if (position.id === pinnedId) return true
    if (fields.some((field) => fold(position[field] ?? "") !== groups[field])) return false
    if (words.length === 0) return true
    const text = toSearchText([...SEARCHED.map((field) => searchableText(position, field)), position.updatedBy].join("\n"))
    return words.every((word) => text.includes(word))
  })
}

/** The value by which a position is sorted: a choice by its place among the choices. */
function sortValue(position: Position, key: SortKey): string | number | null {
  const value = position[key]
  if (isFieldKey(key) && isChoiceField(key)) return value === null ? null : choiceIndex(key, value)
  return typeof value === "string" ? value.trim() : value
}

/** The place of a value among the choices of a field. Others come last. */
function choiceIndex(field: string, value: unknown): number {
  const choices = choicesOf(field)
  const at = choices.findIndex((choice) => choice.value === value)
  return at < 0 ? choices.length : at
}

export function sortPositions(positions: readonly Position[], sort: Sort | null): readonly Position[] {
  if (!sort || (sort.key === "createdAt" && !sort.ascending)) return positions
  const sign = sort.ascending ? 1 : -1
  const { key } = sort
  return [...positions].sort((one, other) => {
    const [a, b] = [sortValue(one, key), sortValue(other, key)]
    if (a === b) return 0
    // Empty values come last in both directions.
    if (a === null || a === "") return 1
    if (b === null || b === "") return -1
    return sign * (typeof a === "number" && typeof b === "number" ? a - b : collator.compare(String(a), String(b)))
  })
}

/** Removes the rounding errors of binary fractions: 1.1 + 2.2 is 3.3, and never -0. */
export const roundSum = (sum: number): number => Number(sum.toFixed(6)) || 0

/** Positions with the same folded name in a field. */
export interface Group {
  /** Folded name; empty for positions without one. */
  key: string
  /** The most frequent spelling; of equally frequent ones, the first by code units. It does not depend on the order of the list. */
  name: string
  /** Sum of the budgets, or another sum of the positions. */
  budget: number
  count: number
}

/** Adds up positions. */
export type SumOf = (positions: readonly Position[]) => number

/** A group with its positions. */
export interface GroupWithMembers extends Group {
  members: readonly Position[]
}

/** Groups positions: choices in their order, other groups with the largest sum first. */
export const groupPositions = (positions: readonly Position[], field: GroupKey, sum: SumOf = sumBudgets): GroupWithMembers[] =>
  collectGroups(positions, field, sum).sort(
    isChoiceField(field) ? byChoice(field) : (one, other) => other.budget - one.budget || collator.compare(one.name, other.name),
  )

/** Groups positions in the order of their first appearance. */
function collectGroups(positions: readonly Position[], field: GroupKey, sum: SumOf): GroupWithMembers[] {
  const fold = createTextFolder()
  const groups = new Map<string, { members: Position[]; spellings: Map<string, number> }>()
  for (const position of positions) {
    const name = position[field] ?? ""
    const key = fold(name)
    const group = groups.get(key) ?? { members: [] as Position[], spellings: new Map<string, number>() }
    const spelling = key === "" ? "" : displayValue(field, name.trim())
    group.members.push(position)
    group.spellings.set(spelling, (group.spellings.get(spelling) ?? 0) + 1)
    groups.set(key, group)
  }
  return [...groups].map(([key, { members, spellings }]) => {
    const name = nameOfGroup(spellings)
    return { key, name, budget: sum(members), count: members.length, members }
  })
}

/** The name of a group with these spellings, each with its number of positions. The server follows the same rule. */
export function nameOfGroup(spellings: ReadonlyMap<string, number>): string {
  const [[name]] = [...spellings].sort((one, other) => other[1] - one[1] || (one[0] < other[0] ? -1 : 1)) as [[string, number]]
  return name
}

/** Choices stay in their order. */
const byChoice = (field: GroupKey) => (one: Group, other: Group) => choiceIndex(field, one.key) - choiceIndex(field, other.key)

/** The groups of a field in alphabetical order, or in the order of the choices, for selection. */
export const distinctGroups = (positions: readonly Position[], field: GroupKey): Group[] =>
  collectGroups(positions, field, sumBudgets)
    .filter(({ key }) => key !== "")
    .sort(isChoiceField(field) ? byChoice(field) : (one, other) => collator.compare(one.name, other.name))

/** The groups of a field with the largest sum first, or in the order of the choices. `sum`: the amount of a group. */
export const groupTotals = (positions: readonly Position[], field: GroupKey, sum: SumOf = sumBudgets): Group[] =>
  groupPositions(positions, field, sum).map(({ members: _, ...group }) => group)

/** A share in whole percent: `32 %`; `<1 %` for small ones, empty if there is nothing to share. */
export function formatShare(part: number, whole: number): string {
  if (whole <= 0) return ""
  const percent = (part / whole) * 100
  return percent > 0 && percent < 0.5 ? "<1 %" : `${Math.round(percent)} %`
}

export const sumBudgets = (positions: readonly { budget: number | null }[]): number =>
  roundSum(positions.reduce((sum, position) => sum + (position.budget ?? 0), 0))

/** Number of positions with an unknown budget. Sums do not include them. */
export const countUnknownBudgets = (positions: readonly Pick<Position, "budget">[]): number =>
  positions.filter(({ budget }) => budget === null).length

/** Text after a sum, such as `2 budgets unknown`; empty if all budgets are known. */
export function describeUnknownBudgets(positions: readonly Pick<Position, "budget">[]): string {
  const count = countUnknownBudgets(positions)
  return count === 0 ? "" : `${count.toLocaleString()} ${count === 1 ? "budget" : "budgets"} unknown`
}
