import { formatMonth } from "../../plan/format"
import type { MonthDifference } from "../../plan/monthly-difference"
import { formatDifference } from "./ComparedSums"

/** Differences below this are rounding noise. */
const NOISE = 1e-9

/** What the scenario changes in the costs of the months. */
export function ComparedMonths({ months }: { months: readonly MonthDifference[] }) {
  const changed = months.filter(({ difference }) => Math.abs(difference) > NOISE)
  if (changed.length === 0) return null
  return (
    <section className="stack" aria-label="Cost by month">
      <h3>Scenario’s change by month</h3>
      <ul className="compare-months">
        {changed.map(({ month, difference }) => (
          <li key={month}>
            <span>{formatMonth(month)}</span> <strong>{formatDifference(difference)}</strong>
          </li>
        ))}
      </ul>
    </section>
  )
}
