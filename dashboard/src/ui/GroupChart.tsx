import { useState } from "react"
import { countPositions } from "../grid/range"
import type { Measure } from "../plan/cost"
import { type DepartmentUse, describeUse } from "../plan/department-budgets"
import { fieldNoun, type GroupKey } from "../plan/fields"
import { formatSum } from "../plan/format"
import { formatShare, type Group, groupTotals, type SumOf } from "../plan/query"
import type { Position } from "../plan/schema"
import { groupName } from "./grid/GroupRow"
import { MeasureSelect } from "./MeasureSelect"

const MAX_BARS = 6

interface Props {
  field: GroupKey
  /** The positions that match the filter. */
  shown: readonly Position[]
  /** Number of all positions. */
  total: number
  isFiltered: boolean
  /** Adds up positions: by their budgets, or by another measure. */
  sum: SumOf
  /** What the bars add up; `null` if there is only one measure. */
  measure: Measure | null
  onMeasure: (measure: Measure) => void
  /** The budgets of departments, for the chart of departments. They apply to all positions, shown or not. */
  departments: readonly DepartmentUse[] | null
  unit: string
  /** Key of the selected group. */
  selected: string | null
  onSelect: (key: string | null) => void
  /** Changes the budgets of departments; `null` if the user cannot. */
  onBudgets: (() => void) | null
}

/** Bar chart of the groups of a field, which filters the list on click. */
export function GroupChart(props: Props) {
  const { field, shown, total, isFiltered, sum, measure, departments, unit, selected, onSelect, onMeasure, onBudgets } = props
  const [isAll, setAll] = useState(false)
  const uses = new Map(departments?.map((use) => [use.key, use]))
  const groups = groupTotals(shown, field, sum)
  // A department with a budget is listed before its first position.
  const empty = isFiltered ? [] : (departments?.filter(({ budget, count, key }) => budget && count === 0 && key !== "") ?? [])
  const bars: Group[] = [...groups, ...empty.map(({ key, name }) => ({ key, name, budget: 0, count: 0 }))]
  const allowed = (key: string) => uses.get(key)?.budget?.amount ?? null
  const largest = Math.max(1, ...bars.map(({ key, budget }) => Math.max(budget, allowed(key) ?? 0)))
  const count = isAll || bars.length <= MAX_BARS ? bars.length : MAX_BARS - 1
  const rest = bars.slice(count)
  const overInRest = rest.filter(({ key }) => (uses.get(key)?.left ?? 0) < 0).length
  const whole = sum(shown)
  const isOtherMeasure = measure !== null && measure !== "budget"
  return (
    <div className="card chart">
      <div className="chart-head">
        <h2>
          By {fieldNoun(field)}{" "}
          <span className="unit">
            {unit}
            {isFiltered && `, ${shown.length.toLocaleString()} of ${countPositions(total)}`}
          </span>
        </h2>
        {onBudgets && (
          <button type="button" className="link" onClick={onBudgets}>
            Set budgets
          </button>
        )}
        {measure !== null && <MeasureSelect label={`Sums by ${fieldNoun(field)}`} value={measure} onChange={onMeasure} />}
      </div>
      {bars.length === 0 && <p className="nothing">{isFiltered ? "Nothing to show." : "No data yet."}</p>}
      <ul>
        {bars.slice(0, count).map((group) => (
          <li key={group.key}>
            <Bar
              group={group}
              name={groupName(group.name, field)}
              share={formatShare(group.budget, whole)}
              largest={largest}
              use={uses.get(group.key) ?? null}
              isApart={isFiltered || isOtherMeasure}
              isSelected={selected === group.key}
              onSelect={() => onSelect(selected === group.key ? null : group.key)}
            />
          </li>
        ))}
        {rest.length > 0 && (
          <li className="bar rest">
            <span className="bar-name">
              {rest.length} others{overInRest > 0 && <span className="over">, {overInRest} over budget</span>}
              <button type="button" className="link" onClick={() => setAll(true)}>
                List all
              </button>
            </span>
            <span className="bar-value">{formatSum(rest.reduce((all, group) => all + group.budget, 0))}</span>
          </li>
        )}
      </ul>
      {isAll && bars.length > MAX_BARS && (
        <button type="button" className="link" onClick={() => setAll(false)}>
          List fewer
        </button>
      )}
    </div>
  )
}

interface BarProps {
  group: Group
  name: string
  /** Share of the sum, as text. */
  share: string
  /** The sum of the longest bar. */
  largest: number
  use: DepartmentUse | null
  /** The sum is not that of all budgets, to which the budget of the department applies. */
  isApart: boolean
  isSelected: boolean
  onSelect: () => void
}

function Bar({ group: { key, budget, count }, name, share, largest, use, isApart, isSelected, onSelect }: BarProps) {
  const isNamed = key !== ""
  const length = (amount: number) => `${(amount / largest) * 100}%`
  const allowed = use?.budget?.amount ?? null
  const isOver = (use?.left ?? 0) < 0
  const note = use && describeUse(use, isApart)
  return (
    <button type="button" className="bar" disabled={!isNamed} aria-pressed={isNamed ? isSelected : undefined} onClick={onSelect}>
      <span className="bar-name">
        {name}{" "}
        <span className="bar-count" title={countPositions(count)}>
          {count.toLocaleString()}
          <span className="hidden"> {count === 1 ? "position" : "positions"}</span>
        </span>
      </span>
      <span className="bar-value">
        {formatSum(budget)} <span className="bar-share">{share}</span>
      </span>
      <span className={isOver && !isApart ? "bar-track over" : "bar-track"} aria-hidden>
        <span style={{ inlineSize: length(budget) }} />
        {allowed !== null && !isApart && <i style={{ insetInlineStart: length(allowed) }} />}
      </span>
      {note && <span className={isOver ? "bar-note over" : "bar-note"}>{note}</span>}
    </button>
  )
}
