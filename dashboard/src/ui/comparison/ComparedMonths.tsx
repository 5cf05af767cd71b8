import { formatMonth } from "../../plan/format"
import type { MonthDifference } from "../../plan/monthly-difference"
import { roundSum } from "../../plan/query"
import { formatDifference } from "./ComparedSums"
import type { ComparisonSides } from "./sides"

interface Props {
  months: readonly MonthDifference[]
  sides: ComparisonSides
}

/** Differences in the costs of the months, and of the year. */
export function ComparedMonths({ months, sides }: Props) {
  const changed = months.filter(({ difference }) => difference !== 0)
  if (changed.length === 0) return null
  const year = roundSum(changed.reduce((sum, { difference }) => sum + difference, 0))
  return (
    <section className="stack" aria-label="Cost by month">
      <h3>{sides.months}</h3>
      <ul className="compare-months">
        {changed.map(({ month, difference }) => (
          <li key={month}>
            <span>{formatMonth(month)}</span> <strong>{formatDifference(difference)}</strong>
          </li>
        ))}
        <li>
          <span>In the year</span> <strong>{formatDifference(year)}</strong>
        </li>
      </ul>
    </section>
  )
}
