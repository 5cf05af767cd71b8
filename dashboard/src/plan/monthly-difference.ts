/** What a scenario changes in the costs of the months. */
import { next as A } from "@automerge/automerge/slim"
import { encodeHeads } from "@automerge/automerge-repo/slim"
import { type CostedPosition, costByMonth } from "./cost"
import { readRegister, toPlainValue } from "./multi-value-register"
import { roundSum } from "./query"
import { readPosition, rowsOf } from "./schema"
import { monthsFrom } from "./year"

export interface MonthDifference {
  month: string
  /** In units of the plan; negative if the scenario costs less. */
  difference: number
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
  const heads = encodeHeads([...base])
  const rows = rowsOf(scenario)
  const before: CostedPosition[] = []
  const after: CostedPosition[] = []
  for (const id of ids) {
    const old = readRegister(scenario, ["positions", id], heads).at(-1)
    const was = old && readPosition(id, toPlainValue(old.value))
    const is = readPosition(id, rows[id])
    if (was) before.push(was)
    if (is) after.push(is)
  }
  const [costsBefore, costsAfter] = [costByMonth(before, yearStart), costByMonth(after, yearStart)]
  return monthsFrom(yearStart).map((month, at) => ({ month, difference: roundSum((costsAfter[at] ?? 0) - (costsBefore[at] ?? 0)) }))
}
