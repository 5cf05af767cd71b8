/** Differences in the costs of the months. */
import { next as A } from "@automerge/automerge/slim"
import { type CostedPosition, costByMonth } from "./cost"
import { readRowsAt } from "./past-rows"
import { roundSum } from "./query"
import { readPosition, rowAt, rowsOf } from "./schema"
import { monthsFrom } from "./year"

export interface MonthDifference {
  month: string
  /** In units of the plan; negative if the later state costs less. */
  difference: number
}

/** The differences between two states of some positions in the twelve months from `yearStart`. */
export function differenceByMonth(
  before: readonly CostedPosition[],
  after: readonly CostedPosition[],
  yearStart: string,
): MonthDifference[] {
  const [costsBefore, costsAfter] = [costByMonth(before, yearStart), costByMonth(after, yearStart)]
  return monthsFrom(yearStart).map((month, at) => ({ month, difference: roundSum((costsAfter[at] ?? 0) - (costsBefore[at] ?? 0)) }))
}

/**
 * The differences between a scenario and its base in the twelve months from `yearStart`. `ids`: the positions that the scenario has
 * changed; the others cost the same. `null` if the document does not contain the base.
 */
export function monthlyDifference(
  scenario: A.Doc<unknown>,
  ids: readonly string[],
  base: readonly string[],
  yearStart: string,
): MonthDifference[] | null {
  // At heads that it does not know, Automerge reads something else.
  if (!A.hasHeads(scenario, [...base])) return null
  const [past, rows] = [readRowsAt(scenario, ids, base), rowsOf(scenario)]
  const before = ids.flatMap((id) => readPosition(id, past.get(id)) ?? [])
  const after = ids.flatMap((id) => readPosition(id, rowAt(rows, id)) ?? [])
  return differenceByMonth(before, after, yearStart)
}
