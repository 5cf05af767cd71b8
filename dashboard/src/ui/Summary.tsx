import { memo, useState } from "react"
import { type Measure, measure } from "../plan/cost"
import { fieldNoun, GROUP_FIELDS, type GroupKey } from "../plan/fields"
import { formatMoney, formatSum, unitLabel } from "../plan/format"
import { describeUnknownBudgets, type Filter, type Group, groupTotals, roundSum, sumBudgets } from "../plan/query"
import type { Position, Settings } from "../plan/schema"
import { MeasureSelect } from "./MeasureSelect"
import { usesYear, YearCard } from "./YearCard"

interface Props {
  positions: readonly Position[]
  /** The positions that the filter leaves. */
  shown: readonly Position[]
  /** First month of the year of the plan. */
  yearStart: string
  settings: Settings
  filter: Filter
  /** `value`: the folded name of a group; `null` shows all. */
  onFilterGroup: (field: GroupKey, value: string | null) => void
  onSettings: (() => void) | null
}

/** Budget figures, and charts by group. */
export const Summary = memo(function Summary({ positions, shown, yearStart, settings, filter, onFilterGroup, onSettings }: Props) {
  const { totalBudget, currency, unit } = settings
  const spent = sumBudgets(positions)
  const unknown = describeUnknownBudgets(positions)
  const left = totalBudget === null ? null : roundSum(totalBudget - spent)
  const share = totalBudget === null || totalBudget <= 0 ? 0 : spent / totalBudget
  const isOver = left !== null && left < 0
  const [by, setBy] = useState<Measure>("budget")
  const hasYear = usesYear(positions)
  const hasStatus = positions.some(({ status }) => status !== null)
  return (
    <section className="summary" aria-label="Budget">
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
          <div className={isOver ? "over" : undefined}>
            <dt>{isOver ? "Over budget" : "Left"}</dt>
            <dd>{left === null ? "—" : formatMoney(Math.abs(left), currency, unit)}</dd>
          </div>
        </dl>
        <div className={isOver ? "gauge over" : "gauge"} role="img" aria-label={`${Math.round(share * 100)} percent of the budget is used`}>
          <span style={{ inlineSize: `${Math.min(share, 1) * 100}%` }} />
        </div>
        <p className="count">
          {positions.length.toLocaleString()} {positions.length === 1 ? "position" : "positions"}
          {totalBudget !== null && totalBudget > 0 && `, ${Math.round(share * 100)} % of the budget`}
          {unknown && `, ${unknown}`}
        </p>
      </div>
      {GROUP_FIELDS.filter((field) => field !== "status" || hasStatus).map((field) => (
        <Chart
          key={field}
          title={`By ${fieldNoun(field)}`}
          groups={groupTotals(positions, field, hasYear ? (members) => measure(members, by, yearStart) : undefined)}
          measure={hasYear ? by : null}
          onMeasure={setBy}
          unit={unitLabel(currency, unit)}
          selected={filter.groups[field] ?? null}
          onSelect={(value) => onFilterGroup(field, value)}
        />
      ))}
      {hasYear && <YearCard all={positions} shown={shown} settings={settings} yearStart={yearStart} onSettings={onSettings} />}
    </section>
  )
})

const MAX_BARS = 6

interface ChartProps {
  title: string
  groups: Group[]
  unit: string
  /** The sum that the bars show; `null` if there is only one. */
  measure: Measure | null
  onMeasure: (measure: Measure) => void
  /** Key of the selected group. */
  selected: string | null
  onSelect: (key: string | null) => void
}

/** Bar chart that filters the list on click. */
function Chart({ title, groups, unit, measure, onMeasure, selected, onSelect }: ChartProps) {
  const largest = Math.max(1, ...groups.map((group) => group.budget))
  const shown = groups.slice(0, groups.length > MAX_BARS ? MAX_BARS - 1 : MAX_BARS)
  const rest = groups.slice(shown.length)
  return (
    <div className="card chart">
      <h2>
        {title} <span className="unit">{unit}</span>
      </h2>
      {measure !== null && <MeasureSelect label={`Sums ${title.toLowerCase()}`} value={measure} onChange={onMeasure} />}
      {groups.length === 0 && <p className="nothing">No data yet.</p>}
      <ul>
        {shown.map(({ key, name, budget, count }) => {
          const isNamed = key !== ""
          return (
            <li key={key}>
              <button
                type="button"
                className="bar"
                disabled={!isNamed}
                aria-pressed={isNamed ? selected === key : undefined}
                title={`${count} ${count === 1 ? "position" : "positions"}`}
                onClick={() => onSelect(selected === key ? null : key)}
              >
                <span className="bar-name">{name || "None"}</span>
                <span className="bar-value">{formatSum(budget)}</span>
                <span className="bar-track" aria-hidden>
                  <span style={{ inlineSize: `${(budget / largest) * 100}%` }} />
                </span>
              </button>
            </li>
          )
        })}
        {rest.length > 0 && (
          <li className="bar rest">
            <span className="bar-name">{rest.length} others</span>
            <span className="bar-value">{formatSum(rest.reduce((all, group) => all + group.budget, 0))}</span>
          </li>
        )}
      </ul>
    </div>
  )
}
