import { type ComparedField, labelOf } from "../../plan/comparison"
import { useColumns } from "../columns-context"
import { ComparedFields } from "./ComparedFields"
import type { ComparisonSides } from "./sides"

interface Props {
  fields: readonly ComparedField[]
  sides: ComparisonSides
}

/** Changed settings of the plan. */
export function ComparedSettings({ fields, sides }: Props) {
  const columns = useColumns()
  if (fields.length === 0) return null
  const contested = fields.filter(({ conflict }) => conflict)
  return (
    <section className="stack" aria-label="Settings">
      <h3>Settings</h3>
      <ComparedFields fields={fields} sides={sides} caption="Settings" />
      {contested.length > 0 && (
        <p className="fine">{contested.map(({ field }) => labelOf(field, columns)).join(", ")}: both have changed it.</p>
      )}
    </section>
  )
}
