/** Searching, filtering, ordering and adding up. */
import { type FieldKey, GROUP_FIELDS, type GroupKey, TEXT_FIELDS } from "./fields"
import type { Position } from "./schema"
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

/** Keeps the positions (and the one that is `kept`) that have every word of the search in one of their texts. */
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
    if (fields.some((field) => fold(position[field]) !== groups[field])) return false
    if (words.length === 0) return true
    const text = toSearchText([...TEXT_FIELDS.map((field) => position[field]), position.updatedBy].join("\n"))
    return words.every((word) => text.includes(word))
  })
}

const trimmed = (value: string | number | null): string | number | null => (typeof value === "string" ? value.trim() : value)

export function sortPositions(positions: readonly Position[], sort: Sort | null): readonly Position[] {
  if (!sort || (sort.key === "createdAt" && !sort.ascending)) return positions
  const sign = sort.ascending ? 1 : -1
  const { key } = sort
  return [...positions].sort((one, other) => {
    const [a, b] = [trimmed(one[key]), trimmed(other[key])]
    if (a === b) return 0
    // What is not there comes last, either way.
    if (a === null || a === "") return 1
    if (b === null || b === "") return -1
    return sign * (typeof a === "number" && typeof b === "number" ? a - b : collator.compare(String(a), String(b)))
  })
}

/** A sum without what adding up binary fractions leaves: 1.1 + 2.2 is 3.3, and nothing left is no -0. */
export const roundSum = (sum: number): number => Number(sum.toFixed(6)) || 0

/** Positions whose department or location has the same folded name. */
export interface Group {
  /** Folded name; empty: of those that have none. */
  key: string
  /** The most frequent spelling, or the first of several. */
  name: string
  budget: number
  count: number
}

/** Groups of positions, in the order in which they first appear. */
function groupPositions(positions: readonly Position[], field: GroupKey): Group[] {
  const fold = createTextFolder()
  const groups = new Map<string, { budget: number; count: number; spellings: Map<string, number> }>()
  for (const position of positions) {
    const key = fold(position[field])
    const group = groups.get(key) ?? { budget: 0, count: 0, spellings: new Map() }
    const spelling = key === "" ? "" : position[field].trim()
    group.budget += position.budget ?? 0
    group.count += 1
    group.spellings.set(spelling, (group.spellings.get(spelling) ?? 0) + 1)
    groups.set(key, group)
  }
  return [...groups].map(([key, { budget, count, spellings }]) => {
    const [name] = [...spellings].reduce((best, other) => (other[1] > best[1] ? other : best))
    return { key, name, budget: roundSum(budget), count }
  })
}

/** The different departments or locations, for choosing among them. */
export const distinctGroups = (positions: readonly Position[], field: GroupKey): Group[] =>
  groupPositions(positions, field)
    .filter(({ key }) => key !== "")
    .sort((one, other) => collator.compare(one.name, other.name))

/** Sums, the largest first. */
export const groupTotals = (positions: readonly Position[], field: GroupKey): Group[] =>
  groupPositions(positions, field).sort((one, other) => other.budget - one.budget || collator.compare(one.name, other.name))

export const sumBudgets = (positions: readonly { budget: number | null }[]): number =>
  roundSum(positions.reduce((sum, position) => sum + (position.budget ?? 0), 0))

/** Positions whose budget no sum counts, as it is not known. */
export const countUnknownBudgets = (positions: readonly Pick<Position, "budget">[]): number =>
  positions.filter(({ budget }) => budget === null).length

/** The same in words, to follow a sum; empty where all budgets are known. */
export function describeUnknownBudgets(positions: readonly Pick<Position, "budget">[]): string {
  const count = countUnknownBudgets(positions)
  return count === 0 ? "" : `${count.toLocaleString()} ${count === 1 ? "budget" : "budgets"} unknown`
}
