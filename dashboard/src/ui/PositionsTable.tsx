import type { NewPosition } from "../plan/edit"
import { type Field, fieldLabel, isAmountField, isNumeric, keyOf } from "../plan/fields"
import { displayValue } from "../plan/format"
import { validValue } from "../plan/schema"

interface TableRow extends NewPosition {
  key: string | number
  mistyped?: Partial<Record<string, string>>
}

interface Props {
  rows: readonly TableRow[]
  fields: readonly Field[]
  /** Number of rows to show; the remaining rows are counted. */
  maxRows: number
  label: string
  /** Unit of the amounts, such as `₹ lakh`. */
  unit?: string
}

/** A read-only, scrollable table of positions. */
export function PositionsTable({ rows, fields, maxRows, label, unit }: Props) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrollable region must be reachable by keyboard
    <section className="positions-table" tabIndex={0} aria-label={label}>
      <table>
        <thead>
          <tr>
            {fields.map((field) => (
              <th key={keyOf(field)} scope="col" className={isNumeric(field) ? "number" : undefined}>
                {fieldLabel(field)}
                {isAmountField(field) && unit && <span className="unit"> {unit}</span>}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, maxRows).map((row) => (
            <tr key={row.key}>
              {fields.map((field) => (
                <td key={keyOf(field)} className={isNumeric(field) ? "number" : undefined}>
                  {row.mistyped?.[keyOf(field)] ?? displayValue(field, validValue(row, keyOf(field)))}
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
