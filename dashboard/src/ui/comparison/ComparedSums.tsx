import { type ComparedSum, differingSums, totalOf } from "../../plan/comparison"
import { formatSum, unitLabel } from "../../plan/format"
import type { Settings } from "../../plan/schema"
import type { ComparisonSides } from "./sides"

interface Props {
  sums: readonly ComparedSum[]
  settings: Settings
  sides: ComparisonSides
}

/** A difference with its sign. */
export const formatDifference = (difference: number): string =>
  difference > 0 ? `+${formatSum(difference)}` : formatSum(difference).replace("-", "−")

/** The sums of budgets, in total and of the departments in which they differ. */
export function ComparedSums({ sums, settings, sides }: Props) {
  const differing = differingSums(sums)
  const total = { department: "Total", ...totalOf(sums) }
  const line = (sum: ComparedSum) => (
    <>
      <th scope="row">{sum.department || "No department"}</th>
      {sides.sums.map(({ side }) => (
        <td key={side} className="number">
          {formatSum(sum[side])}
        </td>
      ))}
      <td className="number">{formatDifference(sum.difference)}</td>
    </>
  )
  return (
    <section className="stack" aria-label="Budgets">
      <h3>
        Budgets <span className="unit">{unitLabel(settings.currency, settings.unit)}</span>
      </h3>
      <div className="compare-fields">
        <table>
          <caption className="hidden">Budgets by department</caption>
          <thead>
            <tr>
              <th scope="col">Department</th>
              {[...sides.sums.map(({ label }) => label), sides.difference].map((label) => (
                <th key={label} scope="col" className="number">
                  {label}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {differing.map((sum) => (
              <tr key={sum.department}>{line(sum)}</tr>
            ))}
          </tbody>
          <tfoot>
            <tr>{line(total)}</tr>
          </tfoot>
        </table>
      </div>
      <p className="fine">
        {differing.length === 0 ? "No department differs." : "Departments without a difference are left out."} Unknown budgets are not
        counted.
      </p>
    </section>
  )
}
