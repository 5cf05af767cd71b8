/**
 * What positions cost in the months of a year.
 *
 * A position costs a twelfth of its budget in each month from its start to its end, both inclusive. Without a start it is active from the
 * beginning, without an end for ever. If it ends before it starts, it is never active. Sums are exact: budgets are added up per number of
 * months and divided once.
 */
import { DecimalSum } from "./decimal-sum"
import type { GroupKey } from "./fields"
import { monthNumber } from "./month"
import { groupPositions } from "./query"
import type { Position } from "./schema"
import { MONTHS_PER_YEAR, monthsFrom } from "./year"

/** The fields of a position that its cost depends on. */
export type CostedPosition = Pick<Position, "budget" | "start" | "end">

/** The active months of a position as month numbers, both inclusive. */
const activeRange = ({ start, end }: CostedPosition): [first: number, last: number] => [
  start === null ? Number.NEGATIVE_INFINITY : monthNumber(start),
  end === null ? Number.POSITIVE_INFINITY : monthNumber(end),
]

/** Whether a position ends before it starts, which is a mistake. */
export function endsBeforeStart(position: Pick<Position, "start" | "end">): boolean {
  const { start, end } = position
  return start !== null && end !== null && monthNumber(end) < monthNumber(start)
}

/** Number of months of the year from `yearStart` in which a position is active. */
export function countActiveMonths(position: CostedPosition, yearStart: string): number {
  const [first, last] = activeRange(position)
  const start = monthNumber(yearStart)
  return Math.max(0, Math.min(last, start + MONTHS_PER_YEAR - 1) - Math.max(first, start) + 1)
}

/** Whether a position is active in the last month of the year from `yearStart`. */
function isActiveAtYearEnd(position: CostedPosition, yearStart: string): boolean {
  const [first, last] = activeRange(position)
  const end = monthNumber(yearStart) + MONTHS_PER_YEAR - 1
  return first <= end && end <= last
}

/**
 * A way to add up positions. `budget`: their budgets. `thisYear`: their cost in the twelve months of the plan. `runRate`: the yearly cost of
 * those that are active in the last of these months.
 */
export type Measure = "budget" | "thisYear" | "runRate"

export const MEASURE_LABELS: Record<Measure, string> = { budget: "Budget", thisYear: "This year", runRate: "Run rate" }

/** The sum of positions. Unknown budgets are left out. */
export function measure(positions: readonly CostedPosition[], by: Measure, yearStart: string): number {
  const sum = new DecimalSum()
  for (const position of positions) {
    if (position.budget === null) continue
    if (by === "thisYear") sum.add(position.budget, countActiveMonths(position, yearStart))
    else if (by === "budget" || isActiveAtYearEnd(position, yearStart)) sum.add(position.budget)
  }
  return sum.dividedBy(by === "thisYear" ? MONTHS_PER_YEAR : 1)
}

/** The cost of a group of positions by month. */
export interface MonthlyCost {
  /** Folded name of the group; empty for positions without one. */
  key: string
  name: string
  /** One amount for each month. */
  byMonth: number[]
  /** The cost of the year. */
  total: number
}

export interface YearCost {
  months: string[]
  groups: MonthlyCost[]
  /** Cost of all groups. */
  byMonth: number[]
}

/** The cost of positions in each month of a year, by the groups of a field in the order of {@link groupPositions}. */
export function yearCost(positions: readonly Position[], field: GroupKey, yearStart: string): YearCost {
  const groups = groupPositions(positions, field, (members) => measure(members, "thisYear", yearStart)).map(
    ({ key, name, budget: total, members }): MonthlyCost => ({ key, name, byMonth: costByMonth(members, yearStart), total }),
  )
  return { months: monthsFrom(yearStart), groups, byMonth: costByMonth(positions, yearStart) }
}

/** The cost of positions in each month of a year. */
export function costByMonth(positions: readonly CostedPosition[], yearStart: string): number[] {
  const start = monthNumber(yearStart)
  // Differences from month to month: two additions for a position, however long it is active.
  const changes = Array.from({ length: MONTHS_PER_YEAR }, () => new DecimalSum())
  for (const position of positions) {
    const { budget } = position
    if (budget === null || countActiveMonths(position, yearStart) === 0) continue
    const [first, last] = activeRange(position)
    changes[Math.max(0, first - start)]?.add(budget)
    changes[last - start + 1]?.add(budget, -1)
  }
  const sum = new DecimalSum()
  return changes.map((change) => {
    sum.addSum(change)
    return sum.dividedBy(MONTHS_PER_YEAR)
  })
}

/** Statuses of positions whose budget is committed. */
const COMMITTED = new Set(["approved", "open", "filled"])

/** Whether the budget of a position is committed: it is approved, open or filled. */
export const isCommitted = ({ status }: Pick<Position, "status">): boolean => status !== null && COMMITTED.has(status)
