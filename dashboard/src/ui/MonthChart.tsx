import type { YearCost } from "../plan/cost"
import { formatMonth, formatMonthName, formatSum } from "../plan/format"

interface Props {
  cost: YearCost
  /** Unit of the amounts, such as `₹ lakh`. */
  unit: string
  /** CSS class of a group's colour. */
  colour: (key: string) => string
}

/** Height of the drawing in its own units. A month is 10 wide. */
const HEIGHT = 100
const BAR = { left: 1.5, width: 7 }

/** First digits of round numbers. */
const ROUND = [1, 1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8]

/** The next larger round number. */
function roundUp(value: number): number {
  if (value <= 0) return 1
  const power = 10 ** Math.floor(Math.log10(value))
  return (ROUND.find((step) => step * power >= value) ?? 10) * power
}

/** Stacked bars of the cost in each month of a year. The table below has the same numbers. */
export function MonthChart({ cost: { months, groups, byMonth }, unit, colour }: Props) {
  const top = roundUp(Math.max(...byMonth))
  const bars = months.map((_, month) => {
    let above = HEIGHT
    return groups.map(({ key, byMonth }) => {
      const height = ((byMonth[month] ?? 0) / top) * HEIGHT
      above -= height
      return { key, y: above, height }
    })
  })
  return (
    <div className="month-chart">
      <div className="plot">
        <span className="axis-top" aria-hidden>
          {formatSum(top)}
        </span>
        <span className="axis-middle" aria-hidden>
          {formatSum(top / 2)}
        </span>
        <svg viewBox={`0 0 120 ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={describe(months, byMonth, unit)}>
          <path className="grid-line" d={`M0 0H120M0 ${HEIGHT / 2}H120M0 ${HEIGHT}H120`} />
          {bars.map((segments, month) => (
            <g key={months[month]}>
              <title>{`${formatMonth(months[month] ?? "")}: ${formatSum(byMonth[month] ?? 0)} ${unit}`}</title>
              {/* The whole column shows the title. */}
              <rect x={month * 10} y={0} width={10} height={HEIGHT} fill="transparent" />
              {segments.map(
                ({ key, y, height }) =>
                  height > 0 && (
                    <rect
                      key={key}
                      className={`segment ${colour(key)}`}
                      x={month * 10 + BAR.left}
                      y={y}
                      width={BAR.width}
                      height={height}
                    />
                  ),
              )}
            </g>
          ))}
        </svg>
      </div>
      <ol className="month-names" aria-hidden>
        {months.map((month) => (
          <li key={month}>{formatMonthName(month)}</li>
        ))}
      </ol>
    </div>
  )
}

/** The chart in one sentence. */
function describe(months: readonly string[], byMonth: readonly number[], unit: string): string {
  const [least, most] = [Math.min(...byMonth), Math.max(...byMonth)]
  const at = (value: number) => formatMonth(months[byMonth.indexOf(value)] ?? "")
  const range = `from ${formatMonth(months[0] ?? "")} to ${formatMonth(months.at(-1) ?? "")}`
  if (least === most) return `Cost by month ${range}: ${formatSum(most)} ${unit} in each month`
  return `Cost by month ${range}: least ${formatSum(least)} ${unit} in ${at(least)}, most ${formatSum(most)} ${unit} in ${at(most)}`
}

/** The numbers of the chart. */
export function MonthTable({ cost: { months, groups, byMonth }, unit }: Omit<Props, "colour">) {
  const sum = groups.reduce((all, { total }) => all + total, 0)
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrollable region must be reachable by keyboard
    <section className="month-table" tabIndex={0} aria-label="Numbers by month">
      <table>
        <caption className="hidden">Cost by month, {unit}</caption>
        <thead>
          <tr>
            <th scope="col">Month</th>
            {groups.map(({ key, name }) => (
              <th key={key} scope="col" className="number">
                {name || "None"}
              </th>
            ))}
            <th scope="col" className="number">
              Total
            </th>
          </tr>
        </thead>
        <tbody>
          {months.map((month, at) => (
            <tr key={month}>
              <th scope="row">{formatMonth(month)}</th>
              {groups.map(({ key, byMonth }) => (
                <td key={key} className="number">
                  {formatSum(byMonth[at] ?? 0)}
                </td>
              ))}
              <td className="number">{formatSum(byMonth[at] ?? 0)}</td>
            </tr>
          ))}
          <tr>
            <th scope="row">Year</th>
            {groups.map(({ key, total }) => (
              <td key={key} className="number">
                {formatSum(total)}
              </td>
            ))}
            <td className="number">{formatSum(sum)}</td>
          </tr>
        </tbody>
      </table>
    </section>
  )
}
