import { type ComparedField, labelOf, showValue } from "../../plan/comparison"
import { useColumns } from "../columns-context"
import type { ComparedSide, ComparisonSides } from "./sides"

interface Props {
  fields: readonly ComparedField[]
  sides: ComparisonSides
  /** Names the table for screen readers. */
  caption: string
}

const isChanged = ({ changedByPlan, changedByScenario }: ComparedField, { side }: ComparedSide): boolean =>
  (side === "plan" && changedByPlan) || (side === "scenario" && changedByScenario)

/** Changed fields with their values in the compared states. */
export function ComparedFields({ fields, sides, caption }: Props) {
  const columns = useColumns()
  return (
    <div className="compare-fields">
      <table>
        <caption className="hidden">{caption}</caption>
        <thead>
          <tr>
            <th scope="col">Field</th>
            {sides.values.map(({ side, label }) => (
              <th key={side} scope="col">
                {label}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {fields.map((field) => (
            <tr key={field.field} className={field.conflict ? "compare-conflict" : undefined}>
              <th scope="row">
                {labelOf(field.field, columns)}
                {field.conflict && <span className="tag doubtful">conflict</span>}
              </th>
              {sides.values.map((column) => (
                <td key={column.side} className={isChanged(field, column) ? "compare-changed" : undefined}>
                  {showValue(field.field, field[column.side], columns)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
