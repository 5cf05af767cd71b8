/** The values of a workbook as text. */
import { toPlainDecimal } from "../format"
import type { TypedCell } from "./raw-table"

/** The text of a cell that is not text, as a text field reads it. */
export function textOf(cell: TypedCell): string {
  switch (cell.kind) {
    case "number":
      return Number.isFinite(cell.value) ? toPlainDecimal(withoutRoundingErrors(cell)) : String(cell.value)
    case "date":
      return isoDate(cell.value)
    case "boolean":
      return cell.value ? "TRUE" : "FALSE"
    case "error":
      return cell.value
    case "formula":
      return `=${cell.value}`
  }
}

/** A day, with the time if it is not midnight. */
function isoDate(time: number): string {
  if (!Number.isFinite(time) || Math.abs(time) > 8.64e15) return "an invalid date"
  const [day = "", clock = ""] = new Date(time).toISOString().split("T")
  return clock.startsWith("00:00:00") ? day : `${day} ${clock.slice(0, 5)}`
}

/** Spreadsheets calculate with 15 digits: `12 * 1.1` is 13.2 there, and 13.200000000000001 in the file. */
export const withoutRoundingErrors = ({ value, isCalculated }: { value: number; isCalculated: boolean }): number =>
  isCalculated && !Number.isInteger(value) ? Number(value.toPrecision(15)) : value
