import { type Field, fieldLabel, isAmountField, isNumeric, keyOf, shareOf } from "../../plan/fields"
import { displayValue, formatSum, unitLabel } from "../../plan/format"
import { roundSum } from "../../plan/query"
import { printedFields } from "../../plan/report"
import { type Position, type Settings, shownValue } from "../../plan/schema"

interface Props {
  rows: readonly Position[]
  /** The columns that the list shows. */
  fields: readonly Field[]
  settings: Settings
}

/** A month takes one line on paper. */
const LEAST_WIDTH = 1.15
const widthOf = (field: Field): number => Math.max(shareOf(field), LEAST_WIDTH)

/** All positions that are printed. The browser repeats the head on each page. */
export function PrintTable({ rows, fields: shown, settings }: Props) {
  const fields = printedFields(rows, shown)
  const unit = unitLabel(settings.currency, settings.unit)
  const total = fields.reduce((sum, field) => sum + widthOf(field), 0)
  const firstAmount = fields.findIndex(isAmountField)
  if (rows.length === 0) return <p className="print-table">No positions.</p>
  return (
    <table className="print-table">
      <colgroup>
        <col className="print-number" />
        {fields.map((field) => (
          <col key={keyOf(field)} style={{ inlineSize: `${(widthOf(field) / total) * 100}%` }} />
        ))}
      </colgroup>
      <thead>
        <tr>
          <th scope="col" className="number">
            #
          </th>
          {fields.map((field) => (
            <th key={keyOf(field)} scope="col" className={isNumeric(field) ? "number" : undefined}>
              {fieldLabel(field)}
              {isAmountField(field) && ` ${unit}`}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((position, at) => (
          <tr key={position.id}>
            <td className="number">{(at + 1).toLocaleString()}</td>
            {fields.map((field) => (
              <td key={keyOf(field)} className={isNumeric(field) ? "number" : undefined}>
                {displayValue(field, shownValue(position, keyOf(field)))}
                <Remark position={position} field={field} />
              </td>
            ))}
          </tr>
        ))}
        {firstAmount >= 0 && (
          <tr className="print-sum">
            <th scope="row" colSpan={firstAmount + 1}>
              Sum
            </th>
            {fields.slice(firstAmount).map((field) => (
              <td key={keyOf(field)} className="number">
                {isAmountField(field) && formatSum(roundSum(rows.reduce((sum, row) => sum + (row[field] ?? 0), 0)))}
              </td>
            ))}
          </tr>
        )}
      </tbody>
    </table>
  )
}

/** What a printed value alone would hide: other values of a conflict, and values that are not valid. */
function Remark({ position, field }: { position: Position; field: Field }) {
  const losing = position.conflicts?.[keyOf(field)]?.losing ?? []
  const isInvalid = position.mistyped?.[keyOf(field)] !== undefined
  if (losing.length === 0 && !isInvalid) return null
  return (
    <small>
      {isInvalid && (isAmountField(field) ? "not an amount, not counted" : "not valid")}
      {isInvalid && losing.length > 0 && "; "}
      {losing.length > 0 && `conflict, also ${losing.map(({ value }) => displayValue(field, value) || "(empty)").join(", ")}`}
    </small>
  )
}
