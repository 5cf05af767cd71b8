/** Budgets of departments: the map `departmentBudgets` of a plan, by the name of the department, in units of the plan. */
import type { next as A } from "@automerge/automerge/slim"
import type { UrlHeads } from "@automerge/automerge-repo/slim"
import type { Plan } from "./edit"
import { formatSum } from "./format"
import { toPlainValue } from "./multi-value-register"
import { groupTotals, roundSum } from "./query"
import { conflictIn, type Place, readEntries, writePlaces } from "./root-map"
import { type Conflict, type FieldValue, type Position, toFieldValue } from "./schema"
import { foldText } from "./text"

/** A stored budget of a department. */
export interface DepartmentBudget {
  /** The name as it is stored. */
  name: string
  /** `null` if the stored value is not a number. */
  amount: number | null
  /** A value that is not a number, as text. It is shown and does not count. */
  mistyped: string | null
  conflict: Conflict | null
}

/** Budgets of departments as the user sees them, and the heads at which they were read. */
export interface DepartmentBudgetsAtHeads {
  budgets: readonly DepartmentBudget[]
  heads: UrlHeads
}

const show = (value: unknown): FieldValue => toFieldValue("budget", value)

export function readDepartmentBudgets(doc: A.Doc<unknown>): DepartmentBudget[] {
  return [...readEntries(doc, "departmentBudgets")].flatMap(([name, register]) => {
    const shown = register.at(-1)
    if (!shown) return []
    const value = show(toPlainValue(shown.value))
    return [
      {
        name,
        amount: typeof value === "number" ? value : null,
        mistyped: typeof value === "number" ? null : String(value ?? "empty"),
        conflict: conflictIn(register, show),
      },
    ]
  })
}

export const departmentBudgetPlace = (name: string): Place => ["departmentBudgets", name]

/** What a department uses of its budget. */
export interface DepartmentUse {
  /** Folded name. */
  key: string
  name: string
  used: number
  /** Number of positions. */
  count: number
  /** `null` if the department has no budget. */
  budget: DepartmentBudget | null
  /** Budgets under other spellings of the same name. They do not count. */
  duplicates: readonly DepartmentBudget[]
  /** What is left of the budget; negative if it is exceeded, `null` without one. */
  left: number | null
}

/** The departments that have positions or a budget, in the order of their names. Positions without a department come last. */
export function departmentUses(positions: readonly Position[], budgets: readonly DepartmentBudget[]): DepartmentUse[] {
  const byKey = new Map<string, DepartmentBudget[]>()
  for (const budget of budgets) {
    const key = foldText(budget.name)
    byKey.set(key, [...(byKey.get(key) ?? []), budget])
  }
  const groups = new Map(groupTotals(positions, "department").map((group) => [group.key, group]))
  const keys = new Set([...groups.keys(), ...byKey.keys()])
  const uses = [...keys].map((key): DepartmentUse => {
    const group = groups.get(key)
    const stored = byKey.get(key) ?? []
    const budget = stored.find(({ name }) => name === group?.name) ?? stored[0] ?? null
    const used = group?.budget ?? 0
    return {
      key,
      name: group?.name || budget?.name || "",
      used,
      count: group?.count ?? 0,
      budget,
      duplicates: stored.filter((other) => other !== budget),
      left: budget === null || budget.amount === null ? null : roundSum(budget.amount - used),
    }
  })
  return uses.sort((one, other) => Number(one.key === "") - Number(other.key === "") || one.name.localeCompare(other.name))
}

/**
 * What a department uses of its budget, in words: `of 450, 50 left`; empty without a budget. `isApart`: the number
 * next to it is not the sum of all budgets of the department, to which its budget applies.
 */
export function describeUse({ budget, used, left, duplicates }: DepartmentUse, isApart: boolean): string {
  if (!budget) return ""
  const { amount, mistyped, conflict } = budget
  const notes = [
    ...(conflict ? ["conflicting budgets"] : []),
    ...duplicates.map(({ name }) => `another budget under “${name}” is not counted`),
  ]
  const prefix = isApart ? `all budgets: ${formatSum(used)} ` : ""
  const text =
    amount === null || left === null
      ? `budget “${mistyped}” is not a number`
      : left < 0
        ? `${prefix}of ${formatSum(amount)}, ${formatSum(-left)} over budget`
        : `${prefix}of ${formatSum(amount)}, ${formatSum(left)} left`
  return [text, ...notes].join(", ")
}

/** A new budget of a department; `null` removes it. */
export interface DepartmentBudgetChange {
  name: string
  amount: number | null
}

/**
 * Sets budgets of departments in one change. `base`: the heads at which the user saw them. A budget that somebody else has changed since
 * becomes a conflict. Returns the changed places, and whether there was a conflict.
 */
export function setDepartmentBudgets(
  plan: Plan,
  changes: readonly DepartmentBudgetChange[],
  author: string,
  base: UrlHeads | null,
): { places: Place[]; isContested: boolean } {
  // Another spelling of a department that already has a budget is the same department.
  const stored = readDepartmentBudgets(plan.doc())
  const storedName = (name: string) =>
    (stored.find((budget) => budget.name === name) ?? stored.find((budget) => foldText(budget.name) === foldText(name)))?.name ?? name
  const writes = changes.map(({ name, amount }) => ({ place: departmentBudgetPlace(storedName(name)), value: amount }))
  const message = `${author}: ${changes.length === 1 ? `budget of ${changes[0]?.name}` : `budgets of ${changes.length} departments`}`
  const contested = writePlaces(plan, "departmentBudgets", writes, message, base)
  return { places: writes.map(({ place }) => place), isContested: contested.length > 0 }
}
