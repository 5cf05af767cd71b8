import { type ComparedField, labelOf, showValue } from "../../plan/comparison"
import { useColumns } from "../columns-context"

interface Props {
  fields: readonly ComparedField[]
  /** Names the table for screen readers. */
  caption: string
}

/** Changed fields with the values of the plan and of the scenario, and the value that both had. */
export function ComparedFields({ fields, caption }: Props) {
  const columns = useColumns()
  return (
    <div className="compare-fields">
      <table>
        <caption className="hidden">{caption}</caption>
        <thead>
          <tr>
            <th scope="col">Field</th>
            <th scope="col">Plan</th>
            <th scope="col">Scenario</th>
            <th scope="col">Before</th>
          </tr>
        </thead>
        <tbody>
          {fields.map(({ field, plan, scenario, base, conflict, changedByPlan, changedByScenario }) => (
            <tr key={field} className={conflict ? "compare-conflict" : undefined}>
              <th scope="row">
                {labelOf(field, columns)}
                {conflict && <span className="tag doubtful">conflict</span>}
              </th>
              <td className={changedByPlan ? "compare-changed" : undefined}>{showValue(field, plan, columns)}</td>
              <td className={changedByScenario ? "compare-changed" : undefined}>{showValue(field, scenario, columns)}</td>
              <td>{showValue(field, base, columns)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
