import { FIELD_DEFINITIONS, type FieldValues, isAmountField } from "../plan/fields"
import { displayValue } from "../plan/format"

interface TableRow extends FieldValues {
  key: string | number
  mistyped?: Partial<Record<string, string>>
}

interface Props {
  rows: readonly TableRow[]
  /** Number of rows to show; the remaining rows are counted. */
  maxRows: number
  label: string
  /** Unit of the amounts, such as `₹ lakh`. */
  unit?: string
}

/** A read-only, scrollable table of positions. */
export function PositionsTable({ rows, maxRows, label, unit }: Props) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrollable region must be reachable by keyboard
    <section className="positions-table" tabIndex={0} aria-label={label}>
      <table>
        <thead>
          <tr>
            {FIELD_DEFINITIONS.map((field) => (
              <th key={field.key} scope="col" className={field.kind === "amount" ? "number" : undefined}>
                {field.label}
                {field.kind === "amount" && unit && <span className="unit"> {unit}</span>}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, maxRows).map((row) => (
            <tr key={row.key}>
              {FIELD_DEFINITIONS.map(({ key }) => (
                <td key={key} className={isAmountField(key) ? "number" : undefined}>
                  {row.mistyped?.[key] ?? displayValue(key, row[key])}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length > maxRows && <p className="fine">and {(rows.length - maxRows).toLocaleString()} more</p>}
    </section>
  )
}
