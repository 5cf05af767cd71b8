import { formatAmount } from "../plan/format"

interface Row {
  key: string | number
  designation: string
  department: string
  budget: number | null
  location: string
  mistyped?: Partial<Record<string, string>>
}

interface Props {
  rows: readonly Row[]
  /** So many are shown, and the others counted. */
  most: number
  label: string
  /** Unit of the budgets, such as ₹ lakh; absent where the page names it elsewhere. */
  unit?: string
}

/** Positions to look at, that scroll. */
export function PositionsTable({ rows, most, label, unit }: Props) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
    <section className="positions-table" tabIndex={0} aria-label={label}>
      <table>
        <thead>
          <tr>
            <th scope="col">Designation</th>
            <th scope="col">Department</th>
            <th scope="col" className="number">
              Budget{unit && <span className="unit"> {unit}</span>}
            </th>
            <th scope="col">Location</th>
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, most).map((row) => (
            <tr key={row.key}>
              <td>{row.designation}</td>
              <td>{row.department}</td>
              <td className="number">{row.mistyped?.budget ?? formatAmount(row.budget)}</td>
              <td>{row.location}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length > most && <p className="fine">and {(rows.length - most).toLocaleString()} more</p>}
    </section>
  )
}
