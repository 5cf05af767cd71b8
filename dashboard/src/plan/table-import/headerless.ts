/** Decides whether a table without a header has the default columns. */
import { type AmountFormat, isBlankAmount, parseAmount } from "../amount"
import { FIELD_LIST, FIELDS, isAmountField, isRequiredField, isTextField } from "../fields"
import { parseValue } from "../input"
import { isBlank } from "../text"
import { widthOf } from "./header"

const isAmount = (cell: string, format: AmountFormat): boolean => "value" in parseAmount(cell, format)

/** Whether each cell of a row fits the field of its column. */
export function fitsDefaultColumns(row: readonly string[], format: AmountFormat): boolean {
  if (widthOf(row) > FIELDS.length) return false
  return FIELDS.every((field, at) => {
    const cell = row[at] ?? ""
    if (isAmountField(field)) return isBlankAmount(cell) || isAmount(cell, format)
    if (!isTextField(field)) return "value" in parseValue(field, cell, { currency: "", unit: 1 })
    return isBlank(cell) ? !isRequiredField(field) : !isAmount(cell, format)
  })
}

/** Why a table without a header cannot be read; `null` if it can. */
export function validateHeaderless(rows: readonly string[][], format: AmountFormat): string | null {
  const filled = rows.filter((row) => widthOf(row) > 0)
  const advice = `Add a header row: ${FIELD_LIST}.`
  if (filled.length > 0 && filled.every((row) => row.every((cell) => isBlank(cell) || isAmount(cell, format))))
    return `The table contains only numbers. ${advice}`
  const [first, ...others] = filled
  // If only the first of several lines does not fit, it is a header with unknown names.
  const isUnknownHead =
    first &&
    !fitsDefaultColumns(first, format) &&
    others.length > 0 &&
    others.every((row) => fitsDefaultColumns(row, format)) &&
    widthOf(first) > 2
  if (isUnknownHead) {
    const names = first.filter((cell) => !isBlank(cell)).map((cell) => `“${cell.trim().slice(0, 40)}”`)
    return `No column is recognized as the designation. Rename one of ${names.join(", ")} to “Designation” or “Job title”.`
  }
  const fitting = filled.filter((row) => fitsDefaultColumns(row, format)).length
  return fitting === 0 || fitting * 2 < filled.length ? `The columns are not recognized. ${advice}` : null
}
