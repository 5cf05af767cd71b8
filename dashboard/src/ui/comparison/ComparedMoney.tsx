import { type Comparison, differInScale } from "../../plan/comparison"
import type { MonthDifference } from "../../plan/monthly-difference"
import type { Settings } from "../../plan/schema"
import { ComparedMonths } from "./ComparedMonths"
import { ComparedSums } from "./ComparedSums"
import type { ComparisonSides } from "./sides"

interface Props {
  comparison: Comparison
  /** Differences in the months of the plan; `null` if they cannot be computed. */
  months: readonly MonthDifference[] | null
  settings: Settings
  sides: ComparisonSides
}

/** Differences in money by department and by month. Amounts in different units are not subtracted. */
export function ComparedMoney({ comparison, months, settings, sides }: Props) {
  if (differInScale(comparison))
    return (
      <p className="notice">
        The currency or the unit has changed. Sums and differences are left out: the amounts of both sides are in different units.
      </p>
    )
  return (
    <>
      <ComparedSums sums={comparison.sums} settings={settings} sides={sides} />
      {months && <ComparedMonths months={months} sides={sides} />}
    </>
  )
}
