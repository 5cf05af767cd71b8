import { ChartBarBig } from "lucide-react"
import { memo, useState } from "react"
import { countPositions } from "../grid/range"
import { type Measure, measure } from "../plan/cost"
import type { DepartmentUse } from "../plan/department-budgets"
import { GROUP_FIELDS, type GroupKey } from "../plan/fields"
import { formatMoney, unitLabel } from "../plan/format"
import { describeUnknownBudgets, type Filter, isFiltering, roundSum, sumBudgets } from "../plan/query"
import type { Position, Settings } from "../plan/schema"
import { GroupChart } from "./GroupChart"
import { usesYear, YearCard } from "./YearCard"

interface Props {
  positions: readonly Position[]
  /** The positions that match the filter. */
  shown: readonly Position[]
  departments: readonly DepartmentUse[]
  /** First month of the year of the plan. */
  yearStart: string
  settings: Settings
  filter: Filter
  /** `value`: the folded name of a group; `null` shows all. */
  onFilterGroup: (field: GroupKey, value: string | null) => void
  onSettings: (() => void) | null
  onDepartmentBudgets: (() => void) | null
}

/** Budget figures, and charts by group. */
export const Summary = memo(function Summary(props: Props) {
  const { positions, shown, departments, yearStart, settings, filter, onFilterGroup, onSettings, onDepartmentBudgets } = props
  const { totalBudget, currency, unit } = settings
  const isFiltered = isFiltering(filter)
  const spent = sumBudgets(positions)
  const unknown = describeUnknownBudgets(positions)
  const left = totalBudget === null ? null : roundSum(totalBudget - spent)
  const share = totalBudget === null || totalBudget <= 0 ? 0 : spent / totalBudget
  const isOver = left !== null && left < 0
  const [by, setBy] = useState<Measure>("budget")
  // On phones, the charts would be between the user and the list.
  const [areChartsOpen, setChartsOpen] = useState(false)
  const hasYear = usesYear(positions)
  const hasStatus = positions.some(({ status }) => status !== null)
  const sumByMeasure = (members: readonly Position[]) => measure(members, by, yearStart)
  return (
    <section className={areChartsOpen ? "summary charts-open" : "summary"} aria-label="Budget">
      <div className="card figures">
        <dl>
          <div>
            <dt>Total budget</dt>
            <dd>
              {totalBudget === null ? "not set" : formatMoney(totalBudget, currency, unit)}
              {onSettings && (
                <button type="button" className="link" onClick={onSettings}>
                  {totalBudget === null ? "Set" : "Change"}
                </button>
              )}
            </dd>
          </div>
          <div>
            <dt>Used</dt>
            <dd>{formatMoney(spent, currency, unit)}</dd>
          </div>
          {isFiltered && (
            <div className="shown">
              <dt>Sum of shown</dt>
              <dd>{formatMoney(sumBudgets(shown), currency, unit)}</dd>
            </div>
          )}
          <div className={isOver ? "over" : undefined}>
            <dt>{isOver ? "Over budget" : "Left"}</dt>
            <dd>{left === null ? "—" : formatMoney(Math.abs(left), currency, unit)}</dd>
          </div>
        </dl>
        <div className={isOver ? "gauge over" : "gauge"} role="img" aria-label={`${Math.round(share * 100)} percent of the budget is used`}>
          <span style={{ inlineSize: `${Math.min(share, 1) * 100}%` }} />
        </div>
        <p className="count">
          {isFiltered && `${shown.length.toLocaleString()} of ${countPositions(positions.length)} shown. All: `}
          {countPositions(positions.length)}
          {totalBudget !== null && totalBudget > 0 && `, ${Math.round(share * 100)} % of the budget`}
          {unknown && `, ${unknown}`}
          <button type="button" className="charts-toggle" aria-expanded={areChartsOpen} onClick={() => setChartsOpen(!areChartsOpen)}>
            <ChartBarBig aria-hidden /> Charts
          </button>
        </p>
      </div>
      {GROUP_FIELDS.filter((field) => field !== "status" || hasStatus).map((field) => (
        <GroupChart
          key={field}
          field={field}
          shown={shown}
          total={positions.length}
          isFiltered={isFiltered}
          sum={hasYear && by !== "budget" ? sumByMeasure : sumBudgets}
          measure={hasYear ? by : null}
          onMeasure={setBy}
          departments={field === "department" ? departments : null}
          unit={unitLabel(currency, unit)}
          selected={filter.groups[field] ?? null}
          onSelect={(value) => onFilterGroup(field, value)}
          onBudgets={field === "department" ? onDepartmentBudgets : null}
        />
      ))}
      {hasYear && <YearCard all={positions} shown={shown} settings={settings} yearStart={yearStart} onSettings={onSettings} />}
    </section>
  )
})
