/** Searching, filtering, ordering and adding up. */
import { FIELDS, type Field, type Position, type Setting } from "./schema"

export interface Filter {
  search: string
  /** null: all. */
  department: string | null
  location: string | null
}

export type SortKey = Field | "updatedAt" | "createdAt"
export interface Sort {
  key: SortKey
  ascending: boolean
}

const collator = new Intl.Collator(undefined, { sensitivity: "base", numeric: true })

/** Keeps the positions (and the one that is `kept`) that have every word of the search in one of their texts. */
export function filtered(
  positions: readonly Position[],
  { search, department, location }: Filter,
  kept: string | null = null,
): readonly Position[] {
  const words = fold(search).split(/\s+/).filter(Boolean)
  if (words.length === 0 && department === null && location === null) return positions
  return positions.filter((position) => {
    if (position.id === kept) return true
    if (department !== null && position.department !== department) return false
    if (location !== null && position.location !== location) return false
    if (words.length === 0) return true
    const text = fold(`${position.designation}\n${position.department}\n${position.location}\n${position.updatedBy}`)
    return words.every((word) => text.includes(word))
  })
}

const fold = (text: string): string => text.normalize("NFKD").replace(/\p{M}/gu, "").toLocaleLowerCase()

export function sorted(positions: readonly Position[], sort: Sort | null): readonly Position[] {
  if (!sort || (sort.key === "createdAt" && !sort.ascending)) return positions
  const sign = sort.ascending ? 1 : -1
  const { key } = sort
  return [...positions].sort((one, other) => {
    const [a, b] = [one[key], other[key]]
    if (a === b) return 0
    // What is not there comes last, either way.
    if (a === null || a === "") return 1
    if (b === null || b === "") return -1
    return sign * (typeof a === "number" && typeof b === "number" ? a - b : collator.compare(String(a), String(b)))
  })
}

/** The different values of a field, for choosing among them. */
export function distinct(positions: readonly Position[], field: "department" | "location"): string[] {
  return [...new Set(positions.map((position) => position[field]))].filter(Boolean).sort(collator.compare)
}

/** A sum without what adding up binary fractions leaves: 1.1 + 2.2 is 3.3, and nothing left is no -0. */
export const withoutNoise = (sum: number): number => Number(sum.toFixed(6)) || 0

export interface Group {
  /** Empty: of those that have none. */
  name: string
  budget: number
  count: number
}

/** Sums, the largest first. */
export function totals(positions: readonly Position[], field: "department" | "location"): Group[] {
  const groups = new Map<string, Group>()
  for (const position of positions) {
    const name = position[field]
    const group = groups.get(name) ?? { name, budget: 0, count: 0 }
    group.budget += position.budget ?? 0
    group.count += 1
    groups.set(name, group)
  }
  for (const group of groups.values()) group.budget = withoutNoise(group.budget)
  return [...groups.values()].sort((one, other) => other.budget - one.budget || collator.compare(one.name, other.name))
}

export const used = (positions: readonly Position[]): number =>
  withoutNoise(positions.reduce((sum, position) => sum + (position.budget ?? 0), 0))

/** Positions whose budget no sum counts, as it is not known. */
export const unknownBudgets = (positions: readonly Pick<Position, "budget">[]): number =>
  positions.filter(({ budget }) => budget === null).length

/** The same in words, to follow a sum; empty where all budgets are known. */
export function unknownInWords(positions: readonly Pick<Position, "budget">[]): string {
  const count = unknownBudgets(positions)
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
export const labelOf = (field: string): string => (isField(field) ? LABELS[field] : field)

export const isField = (key: string): key is Field => (FIELDS as readonly string[]).includes(key)
