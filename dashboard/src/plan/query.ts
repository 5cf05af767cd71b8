/** Searching, filtering, ordering and adding up. */
import { FIELDS, type Field, type Position, type Setting } from "./schema"
import { createTextFolder, toSearchText } from "./text"

export interface Filter {
  search: string
  /** Folded name; null for all. */
  department: string | null
  /** Folded name; null for all. */
  location: string | null
}

export type SortKey = Field | "updatedAt" | "createdAt"
export interface Sort {
  key: SortKey
  ascending: boolean
}

const collator = new Intl.Collator(undefined, { sensitivity: "base", numeric: true })

/** Keeps the positions (and the one that is `kept`) that have every word of the search in one of their texts. */
export function filterPositions(
  positions: readonly Position[],
  { search, department, location }: Filter,
  pinnedId: string | null = null,
): readonly Position[] {
  const words = toSearchText(search).split(/\s+/).filter(Boolean)
  if (words.length === 0 && department === null && location === null) return positions
  const fold = createTextFolder()
  return positions.filter((position) => {
    if (position.id === pinnedId) return true
    if (department !== null && fold(position.department) !== department) return false
    if (location !== null && fold(position.location) !== location) return false
    if (words.length === 0) return true
    const text = toSearchText(`${position.designation}\n${position.department}\n${position.location}\n${position.updatedBy}`)
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
function groupPositions(positions: readonly Position[], field: "department" | "location"): Group[] {
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
export const distinctGroups = (positions: readonly Position[], field: "department" | "location"): Group[] =>
  groupPositions(positions, field)
    .filter(({ key }) => key !== "")
    .sort((one, other) => collator.compare(one.name, other.name))

/** Sums, the largest first. */
export const groupTotals = (positions: readonly Position[], field: "department" | "location"): Group[] =>
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

/** How fields are called on the page. */
export const LABELS: Record<Field | "updatedAt", string> = {
  designation: "Designation",
  department: "Department",
  budget: "Budget",
  location: "Location",
  updatedAt: "Last change",
}

export const SETTING_LABELS: Record<Setting, string> = {
  name: "Name",
  currency: "Currency",
  unit: "Unit",
  totalBudget: "Total budget",
}

/** The label of any field; fields of other programs have their own name. */
export const fieldLabel = (field: string): string => (isField(field) ? LABELS[field] : field)

export const isField = (key: string): key is Field => (FIELDS as readonly string[]).includes(key)
