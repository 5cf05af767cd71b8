import { useMemo, useState } from "react"
import { endsBeforeStart, isCommitted, type MonthlyCost, measure, yearCost } from "../plan/cost"
import { FIELDS, fieldNoun, type GroupKey, isMonthField } from "../plan/fields"
import { formatMoney, formatMonth, formatSum, unitLabel } from "../plan/format"
import { describeUnknownBudgets, roundSum, sumBudgets } from "../plan/query"
import type { Position, Settings } from "../plan/schema"
import { MonthChart, MonthTable } from "./MonthChart"

interface Props {
  all: readonly Position[]
  /** The positions that the filter leaves. */
  shown: readonly Position[]
  settings: Settings
  /** First month of the year of the plan. */
  yearStart: string
  onSettings: (() => void) | null
}

/** Whether a plan uses status, start or end. */
export const usesYear = (positions: readonly Position[]): boolean =>
  positions.some(
    ({ status, start, end, mistyped }) =>
      status !== null ||
      start !== null ||
      end !== null ||
      mistyped?.status !== undefined ||
      mistyped?.start !== undefined ||
      mistyped?.end !== undefined,
  )

type StackField = Extract<GroupKey, "status" | "department">
const STACKS: readonly StackField[] = ["status", "department"]
/** Number of groups with a colour of their own; the others are one group. */
const MAX_STACKS = 6

/** Costs in the twelve months of a plan. */
export function YearCard({ all, shown, settings, yearStart, onSettings }: Props) {
  const [stack, setStack] = useState<StackField>("status")
  const { currency, unit } = settings
  const label = unitLabel(currency, unit)
  const cost = useMemo(() => {
    const full = yearCost(shown, stack, yearStart)
    return { ...full, groups: mergeSmall(full.groups) }
  }, [shown, stack, yearStart])
  const colour = (key: string) => {
    if (key === "" || key === OTHERS) return "stack-none"
    return stack === "status" ? `stack-${key}` : `stack-${cost.groups.findIndex((group) => group.key === key)}`
  }
  const [first = "", last = ""] = [cost.months[0], cost.months.at(-1)]
  return (
    <section className="card year" aria-label="Cost by month">
      <header>
        <h2>
          Cost by month <span className="unit">{label}</span>
        </h2>
        <span className="year-range">
          {formatMonth(first)} – {formatMonth(last)}
          {onSettings && (
            <button type="button" className="link" onClick={onSettings}>
              Change<span className="hidden"> the year</span>
            </button>
          )}
        </span>
        <label className="stack-by">
          <span>Stacked by</span>
          <select value={stack} onChange={(event) => setStack(event.target.value as StackField)}>
            {STACKS.map((field) => (
              <option key={field} value={field}>
                {fieldNoun(field)}
              </option>
            ))}
          </select>
        </label>
      </header>
      <YearFigures shown={shown} settings={settings} yearStart={yearStart} lastMonth={last} />
      <MonthChart cost={cost} unit={label} colour={colour} />
      <ul className="legend" aria-label={`Colours by ${fieldNoun(stack)}`}>
        {cost.groups.map(({ key, name, total }) => (
          <li key={key}>
            <span className={`swatch ${colour(key)}`} aria-hidden />
            {name || `No ${fieldNoun(stack)}`} <span className="number">{formatSum(total)}</span>
          </li>
        ))}
      </ul>
      <div className="year-more">
        <details>
          <summary>Numbers by month</summary>
          <MonthTable cost={cost} unit={label} />
        </details>
        <Remarks all={all} shown={shown} />
      </div>
    </section>
  )
}

/** Key of the group that holds all small groups. A folded name contains no line break. */
const OTHERS = "\n"

/** Puts all but the largest groups together. */
function mergeSmall(groups: readonly MonthlyCost[]): MonthlyCost[] {
  if (groups.length <= MAX_STACKS) return [...groups]
  const small = groups.slice(MAX_STACKS - 1)
  const byMonth = (small[0]?.byMonth ?? []).map((_, at) => roundSum(small.reduce((sum, group) => sum + (group.byMonth[at] ?? 0), 0)))
  const total = roundSum(small.reduce((sum, group) => sum + group.total, 0))
  return [...groups.slice(0, MAX_STACKS - 1), { key: OTHERS, name: `${small.length} others`, byMonth, total }]
}

interface FiguresProps extends Omit<Props, "all" | "onSettings"> {
  lastMonth: string
}

/** The sums of the year, and what approvals leave of the total budget. */
function YearFigures({ shown, settings, yearStart, lastMonth }: FiguresProps) {
  const { currency, unit, totalBudget } = settings
  const money = (amount: number) => formatMoney(amount, currency, unit)
  const committed = useMemo(() => sumBudgets(shown.filter(isCommitted)), [shown])
  const everything = useMemo(() => sumBudgets(shown), [shown])
  const thisYear = useMemo(() => measure(shown, "thisYear", yearStart), [shown, yearStart])
  const runRate = useMemo(() => measure(shown, "runRate", yearStart), [shown, yearStart])
  const left = (used: number) => (totalBudget === null ? null : roundSum(totalBudget - used))
  return (
    <dl className="year-figures">
      <Figure label="This year" value={money(thisYear)} note="cost in these twelve months" />
      <Figure label="Run rate" value={money(runRate)} note={`yearly cost of positions active in ${formatMonth(lastMonth)}`} />
      <LeftFigure label="Left after approved" left={left(committed)} money={money} note={`${money(committed)} approved, open or filled`} />
      <LeftFigure label="Left after all" left={left(everything)} money={money} note={`${money(everything)} in all, proposals included`} />
    </dl>
  )
}

interface FigureProps {
  label: string
  value: string
  note: string
  isBad?: boolean
}

function Figure({ label, value, note, isBad = false }: FigureProps) {
  return (
    <div className={isBad ? "over" : undefined}>
      <dt>{label}</dt>
      <dd>
        {value}
        <span className="fine">{note}</span>
      </dd>
    </div>
  )
}

interface LeftProps {
  label: string
  /** `null` without a total budget. */
  left: number | null
  money: (amount: number) => string
  note: string
}

/** What is left of the total budget, or by how much it is exceeded. */
function LeftFigure({ label, left, money, note }: LeftProps) {
  if (left === null) return <Figure label={label} value="—" note={`no total budget set; ${note}`} />
  return <Figure label={label} value={left < 0 ? `${money(-left)} over` : money(left)} note={note} isBad={left < 0} />
}

/** What the figures count, and what they leave out. */
function Remarks({ all, shown }: Pick<Props, "all" | "shown">) {
  const reversed = shown.filter(endsBeforeStart).length
  const invalid = shown.filter(
    ({ mistyped }) => mistyped && FIELDS.some((field) => isMonthField(field) && mistyped[field] !== undefined),
  ).length
  const isFiltered = shown.length !== all.length
  const remarks = [
    isFiltered && `Counts only the ${shown.length.toLocaleString()} of ${positions(all.length)} shown`,
    describeUnknownBudgets(shown),
    reversed > 0 &&
      `${positions(reversed)} ${reversed === 1 ? "ends before it starts and costs" : "end before they start and cost"} nothing`,
    invalid > 0 && `${positions(invalid)} ${invalid === 1 ? "has" : "have"} a start or end that is not a month and counts as not set`,
  ].filter(Boolean)
  return (
    <p className="count" role="status">
      {remarks.length > 0 && `${remarks.join("; ")}.`}
    </p>
  )
}

const positions = (count: number): string => `${count.toLocaleString()} ${count === 1 ? "position" : "positions"}`
