/** Judges amounts by their size: the unit they are probably in, and outliers. */
import { UNIT_CHOICES, unitName } from "../format"

/** The unit of the amounts of a table, as far as their size shows it. */
export interface UnitJudgement {
  /** Median of the amounts without a unit of their own, in the unit of the table. */
  median: number
  /** Median of the plan, in the unit of the plan; `null` if it has too few budgets. */
  planMedian: number | null
  /** The unit in which the amounts are closest to those of the plan. */
  likely: number
  /** The amounts would be unusual in the unit of the plan. */
  isDoubtful: boolean
}

/** A median of fewer budgets says nothing. */
const MIN_BUDGETS = 3
/** Amounts that differ from the plan by such a factor are probably in another unit. */
const DOUBTFUL_FACTOR = 100
/** Without budgets in the plan: no position costs this many thousands, lakh or crore. */
const UNUSUAL_AMOUNT = 10_000
/** An amount this many times the median is an outlier. */
const OUTLIER_FACTOR = 10
const SMALL_FACTOR = 100

export function medianOf(values: readonly number[]): number | null {
  if (values.length === 0) return null
  const sorted = [...values].sort((one, other) => one - other)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2
}

const positive = (values: readonly number[]): number[] => values.filter((value) => value > 0)
const distance = (one: number, other: number): number => Math.abs(Math.log10(one / other))

/** `amounts`: those without a unit of their own. `null` if there are none to judge. */
export function judgeUnit(amounts: readonly number[], budgets: readonly number[], planUnit: number): UnitJudgement | null {
  const median = medianOf(positive(amounts))
  if (median === null) return null
  const known = positive(budgets)
  const planMedian = known.length >= MIN_BUDGETS ? medianOf(known) : null
  if (planMedian === null) {
    const isDoubtful = planUnit > 1 && median >= UNUSUAL_AMOUNT
    return { median, planMedian, likely: isDoubtful ? 1 : planUnit, isDoubtful }
  }
  const isDoubtful = distance(median, planMedian) >= Math.log10(DOUBTFUL_FACTOR)
  const units = [...new Set([planUnit, ...UNIT_CHOICES.map(({ unit }) => unit)])]
  const off = (unit: number) => distance((median * unit) / planUnit, planMedian)
  const likely = isDoubtful ? units.reduce((best, unit) => (off(unit) < off(best) ? unit : best)) : planUnit
  return { median, planMedian, likely, isDoubtful: isDoubtful && likely !== planUnit }
}

/** Why a budget is unusual among others with this median; `null` if it is not. All in the unit of the plan. */
export function outlierReason(budget: number, median: number | null, planUnit: number): string | null {
  if (median === null || median <= 0 || budget <= 0) return null
  const factor = budget / median
  if (factor < OUTLIER_FACTOR && factor > 1 / SMALL_FACTOR) return null
  const times =
    factor >= 1 ? `${Math.round(factor).toLocaleString()} times the median` : `1/${Math.round(1 / factor).toLocaleString()} of the median`
  const other = UNIT_CHOICES.find(({ unit }) => unit !== planUnit && distance((budget * unit) / planUnit, median) < Math.log10(4))
  return other ? `${times}; looks like an amount in ${unitName(other.unit) || "single units"}` : times
}

/** The median that outliers are judged by: of the table, or of the plan if the table is small. */
export function referenceMedian(table: readonly number[], plan: readonly number[]): number | null {
  const [own, all] = [positive(table), positive(plan)]
  if (own.length >= MIN_BUDGETS) return medianOf(own)
  return all.length >= MIN_BUDGETS ? medianOf(all) : null
}
