import { type ComparedSum, differingSums, totalOf } from "../../plan/comparison"
import { formatSum, unitLabel } from "../../plan/format"
import type { Settings } from "../../plan/schema"

/** A difference with its sign. */
export const formatDifference = (difference: number): string =>
  difference > 0 ? `+${formatSum(difference)}` : formatSum(difference).replace("-", "−")

/** The sums of budgets, in total and of the departments in which they differ. */
export function ComparedSums({ sums, settings }: { sums: readonly ComparedSum[]; settings: Settings }) {
  const differing = differingSums(sums)
  const total = { department: "Total", ...totalOf(sums) }
  const line = ({ department, plan, scenario, difference }: ComparedSum) => (
    <>
      <th scope="row">{department || "No department"}</th>
      <td className="number">{formatSum(plan)}</td>
      <td className="number">{formatSum(scenario)}</td>
      <td className="number">{difference === 0 ? "0" : formatDifference(difference)}</td>
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
              <th scope="col" className="number">
                Plan
              </th>
              <th scope="col" className="number">
                Scenario
              </th>
              <th scope="col" className="number">
                Scenario’s change
              </th>
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
