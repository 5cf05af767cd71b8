import { useId } from "react"
import { formatAmount, formatMoney, UNIT_CHOICES, unitLabel, unitName } from "../plan/format"
import type { Settings } from "../plan/schema"
import type { UnitJudgement } from "../plan/table-import/magnitudes"

interface Props {
  settings: Settings
  /** `null`: the user has to choose. */
  unit: number | null
  judgement: UnitJudgement | null
  /** Unit that the name of the column names; `null` if it names none. */
  namedUnit: number | null
  onUnit: (unit: number) => void
}

/** The unit of the amounts of a table. */
export function ImportUnit({ settings, unit, judgement, namedUnit, onUnit }: Props) {
  const id = useId()
  const { currency, unit: planUnit } = settings
  const units = [...new Set([...UNIT_CHOICES.map((choice) => choice.unit), planUnit])].sort((one, other) => one - other)
  const inPlan = (amount: number) => formatMoney(amount, currency, planUnit)
  return (
    <div className="import-unit">
      <label htmlFor={id}>Amounts without a unit are in</label>
      <select
        id={id}
        value={unit ?? ""}
        aria-describedby={`${id}-reason`}
        onChange={(event) => event.target.value !== "" && onUnit(Number(event.target.value))}
      >
        {unit === null && <option value="">Choose the unit…</option>}
        {units.map((choice) => (
          <option key={choice} value={choice}>
            {unitLabel(currency, choice)}
            {choice === planUnit ? " (unit of the plan)" : ""}
          </option>
        ))}
      </select>
      <p id={`${id}-reason`} className={unit === null ? "notice" : "fine"}>
        {namedUnit !== null && `The name of the column says ${unitName(namedUnit)}. `}
        {judgement && (
          <>
            The median of the table is {formatAmount(judgement.median)}
            {unit !== null && unit !== planUnit && `, which is ${inPlan((judgement.median * unit) / planUnit)}`}
            {judgement.planMedian !== null && `; that of the plan is ${inPlan(judgement.planMedian)}`}.
            {unit === null && ` The amounts look like ${unitLabel(currency, judgement.likely)}. Choose their unit.`}
          </>
        )}
      </p>
    </div>
  )
}
