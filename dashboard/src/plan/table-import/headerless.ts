/** Decides whether a table without names for its columns can be read as designation, department, budget and location. */
import { type AmountFormat, isBlankAmount, parseAmount } from "../amount"
import { FIELD_LIST, FIELDS, isAmountField, isRequiredField } from "../fields"
import { isBlank } from "../text"
import { widthOf } from "./header"

const isAmount = (cell: string, format: AmountFormat): boolean => "value" in parseAmount(cell, format)

/** Whether the cells of a row are where the fields are expected. */
export function fitsDefaultColumns(row: readonly string[], format: AmountFormat): boolean {
  if (widthOf(row) > FIELDS.length) return false
  return FIELDS.every((field, at) => {
    const cell = row[at] ?? ""
    if (isAmountField(field)) return isBlankAmount(cell) || isAmount(cell, format)
    return isBlank(cell) ? !isRequiredField(field) : !isAmount(cell, format)
  })
}

/** Why a table without names for its columns cannot be read; null if it can. */
export function validateHeaderless(rows: readonly string[][], format: AmountFormat): string | null {
  const filled = rows.filter((row) => widthOf(row) > 0)
  const advice = `Add a first line with the names of the columns: ${FIELD_LIST}.`
  if (filled.length > 0 && filled.every((row) => row.every((cell) => isBlank(cell) || isAmount(cell, format))))
    return `There are only numbers, and no names of positions. ${advice}`
  const [first, ...others] = filled
  // Two lines or more, of which only the first does not fit: it names the columns in words that are not known here.
  const isUnknownHead =
    first &&
    !fitsDefaultColumns(first, format) &&
    others.length > 0 &&
    others.every((row) => fitsDefaultColumns(row, format)) &&
    widthOf(first) > 2
  if (isUnknownHead) {
    const names = first.filter((cell) => !isBlank(cell)).map((cell) => `“${cell.trim().slice(0, 40)}”`)
    return `No column names the positions. Call one of ${names.join(", ")} “Designation” or “Job title”.`
  }
  const fitting = filled.filter((row) => fitsDefaultColumns(row, format)).length
  return fitting === 0 || fitting * 2 < filled.length ? `The columns have no names that are known here. ${advice}` : null
}
