/** Searching, filtering, sorting and totals. */
import { NO_COLUMNS, type PlanColumns } from "./columns"
import {
  type ChoiceField,
  type ColumnKey,
  choicesOf,
  type Field,
  type GroupColumnKey,
  type GroupField,
  isAmountField,
  isChoiceField,
  keyOf,
} from "./fields"
import { displayValue } from "./format"
import { newestFirst } from "./newest-first"
import { type Position, shownValue, validValue } from "./schema"
import { createTextFolder, foldText, toSearchText } from "./text"

export interface Filter {
  search: string
  /** Folded name of the selected group, by field. A field without an entry does not filter. */
  groups: Partial<Record<GroupColumnKey, string>>
}

export const NO_FILTER: Filter = { search: "", groups: {} }

export const isFiltering = ({ search, groups }: Filter): boolean => search !== "" || selectedGroups(groups).length > 0

/** The fields that filter, and the selected group of each. */
export const selectedGroups = (groups: Filter["groups"]): [GroupColumnKey, string][] => Object.entries(groups) as [GroupColumnKey, string][]

type TimeKey = "updatedAt" | "createdAt"
export type SortKey = ColumnKey | TimeKey

/** Whether a key is that of a time, which is no column of the plan. */
export const isTimeKey = (key: string): key is TimeKey => key === "updatedAt" || key === "createdAt"

export interface Sort {
  key: SortKey
  ascending: boolean
}

const collator = new Intl.Collator(undefined, { sensitivity: "base", numeric: true })

/** The texts that a search looks at, by position. A position that changes is another object. */
const searchTexts = new WeakMap<Position, { columns: PlanColumns; text: string }>()

/** The words of a position, folded for searching. */
function searchText(position: Position, columns: PlanColumns): string {
  const known = searchTexts.get(position)
  if (known?.columns === columns) return known.text
  const searched = columns.fields.filter((field) => !isAmountField(field))
  const text = toSearchText([...searched.map((field) => searchableText(position, field)), position.updatedBy].join("\n"))
  searchTexts.set(position, { columns, text })
  return text
}

/** The text of a cell. Months are found as `Jun 2027` and as `2027-06`. */
function searchableText(position: Position, field: Field): string {
  const value = shownValue(position, keyOf(field))
  const text = displayValue(field, value)
  return text === value ? text : `${text} ${value ?? ""}`
}

/** Returns the positions that match the filter and contain every search word, plus the position `pinnedId`. */
export function filterPositions(
  positions: readonly Position[],
  { search, groups }: Filter,
  pinnedId: string | null = null,
  columns: PlanColumns = NO_COLUMNS,
): readonly Position[] {
  const words = toSearchText(search).split(/\s+/).filter(Boolean)
  const chosen = selectedGroups(groups)
  if (words.length === 0 && chosen.length === 0) return positions
  const fold = createTextFolder()
  return positions.filter((position) => {
    if (position.id === pinnedId) return true
    if (chosen.some(([key, group]) => fold(groupNameOf(position, key)) !== group)) return false
    if (words.length === 0) return true
    const text = searchText(position, columns)
    return words.every((word) => text.includes(word))
  })
}

/** The value that names the group of a position; empty if it has none. */
const groupNameOf = (position: Position, key: GroupColumnKey): string => String(validValue(position, key) ?? "")

/** The value by which a position is sorted: a choice by its place among the choices. */
function sortValue(position: Position, key: SortKey, field: Field | null): string | number | null {
  const value = isTimeKey(key) ? position[key] : validValue(position, key)
  if (field && isChoiceField(field)) return value === null ? null : choiceIndex(field, value)
  return typeof value === "string" ? value.trim() : value
}

/** The place of a value among the choices of a field. Others come last. */
function choiceIndex(field: ChoiceField, value: unknown): number {
  const choices = choicesOf(field)
  const at = choices.findIndex((choice) => choice.value === value)
  return at < 0 ? choices.length : at
}

/** A position with the value by which it is sorted. */
interface Keyed {
  position: Position
  value: string | number | null
}

/** Whether a sort is the order of the list. */
const isListOrder = (sort: Sort | null): sort is null => !sort || (sort.key === "createdAt" && !sort.ascending)

const withKeys = (positions: readonly Position[], { key }: Sort, columns: PlanColumns): Keyed[] => {
  const field = columns.field(key)
  return positions.map((position) => ({ position, value: sortValue(position, key, field) }))
}

const compareKeys =
  ({ ascending }: Sort) =>
  ({ value: a }: Keyed, { value: b }: Keyed): number => {
    if (a === b) return 0
    // Empty values come last in both directions.
    if (a === null || a === "") return 1
    if (b === null || b === "") return -1
    return (ascending ? 1 : -1) * (typeof a === "number" && typeof b === "number" ? a - b : collator.compare(String(a), String(b)))
  }

export function sortPositions(positions: readonly Position[], sort: Sort | null, columns: PlanColumns = NO_COLUMNS): readonly Position[] {
  if (isListOrder(sort)) return positions
  return withKeys(positions, sort, columns)
    .sort(compareKeys(sort))
    .map(({ position }) => position)
}

/** Number of new positions up to which they are merged into the list that was sorted before. */
const MAX_MERGED = 500

/** A list that was sorted. */
interface SortedList {
  sort: Sort
  columns: PlanColumns
  sorted: readonly Keyed[]
  positions: readonly Position[]
  set: ReadonlySet<Position>
}

/** Sorts lists that differ little from the one before: only what has changed is sorted. */
export class PositionSorter {
  #before: SortedList | null = null

  /** `positions`: in the order of the list. */
  sort(positions: readonly Position[], sort: Sort | null, columns: PlanColumns): readonly Position[] {
    if (isListOrder(sort)) {
      this.#before = null
      return positions
    }
    const before = this.#before
    const isSame = before?.columns === columns && before.sort.key === sort.key && before.sort.ascending === sort.ascending
    const set = new Set(positions)
    const merged = before && isSame ? this.#merge(before, positions, set) : null
    if (before && merged === before.sorted) return before.positions
    const sorted = merged ?? withKeys(positions, sort, columns).sort(compareKeys(sort))
    const next = sorted.map(({ position }) => position)
    this.#before = { sort, columns, sorted, set, positions: next }
    return next
  }

  /** The positions merged into the list before; `null` if too much has changed. */
  #merge(before: SortedList, positions: readonly Position[], set: ReadonlySet<Position>): readonly Keyed[] | null {
    const added = positions.filter((position) => !before.set.has(position))
    if (added.length > MAX_MERGED) return null
    const kept = before.sorted.filter(({ position }) => set.has(position))
    if (added.length === 0 && kept.length === before.sorted.length) return before.sorted
    const compare = compareKeys(before.sort)
    // Equal positions are in the order of the list.
    const isAfter = (one: Keyed, other: Keyed) => (compare(one, other) || newestFirst(one.position, other.position)) > 0
    const merged: Keyed[] = []
    let at = 0
    for (const next of withKeys(added, before.sort, before.columns).sort(compare)) {
      while (at < kept.length && !isAfter(kept[at] as Keyed, next)) merged.push(kept[at++] as Keyed)
      merged.push(next)
    }
    return [...merged, ...kept.slice(at)]
  }
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
export const groupPositions = (positions: readonly Position[], field: GroupField, sum: SumOf = sumBudgets): GroupWithMembers[] =>
  collectGroups(positions, field, sum).sort(
    isChoiceField(field) ? byChoice(field) : (one, other) => other.budget - one.budget || collator.compare(one.name, other.name),
  )

/** Groups positions in the order of their first appearance. */
function collectGroups(positions: readonly Position[], field: GroupField, sum: SumOf): GroupWithMembers[] {
  const fold = createTextFolder()
  const groups = new Map<string, { members: Position[]; spellings: Map<string, number> }>()
  for (const position of positions) {
    const name = groupNameOf(position, keyOf(field) as GroupColumnKey)
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
const byChoice = (field: ChoiceField) => {
  const places = new Map(choicesOf(field).map(({ value }, at) => [foldText(value), at]))
  const placeOf = ({ key }: Group) => places.get(key) ?? places.size
  return (one: Group, other: Group) => placeOf(one) - placeOf(other)
}

/** The groups of a field in alphabetical order, or in the order of the choices, for selection. */
export const distinctGroups = (positions: readonly Position[], field: GroupField): Group[] =>
  collectGroups(positions, field, sumBudgets)
    .filter(({ key }) => key !== "")
    .sort(isChoiceField(field) ? byChoice(field) : (one, other) => collator.compare(one.name, other.name))

/** The groups of a field with the largest sum first, or in the order of the choices. `sum`: the amount of a group. */
export const groupTotals = (positions: readonly Position[], field: GroupField, sum: SumOf = sumBudgets): Group[] =>
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
