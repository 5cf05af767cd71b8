/** Reads the amounts of a table in the unit of the plan. */
import { type AmountFormat, CANONICAL_SEPARATORS, isBlankAmount, type ParsedAmount, parseAmount } from "../amount"
import { codesOf } from "../currencies"
import type { TypedCell } from "./raw-table"
import { textOf } from "./workbook-text"

/** Whether an amount names its own unit, so that the unit of the column does not apply. */
export const hasOwnUnit = (text: string): boolean =>
  (text.match(/\p{L}+/gu) ?? []).some((word) => codesOf(word) === null && !/^e$/i.test(word))

/**
 * Reads an amount whose unit is `unit` currency units, unless it names one itself. An empty cell is unknown (`null`).
 */
export function readAmount(text: string, cell: TypedCell | undefined, unit: number, format: AmountFormat): ParsedAmount | { value: null } {
  if (cell?.kind === "date") return { problem: `“${text}” is a date, not an amount.` }
  if (cell?.kind === "number") return convert(textOf(cell), unit, { ...format, separators: CANONICAL_SEPARATORS })
  if (isBlankAmount(text)) return { value: null }
  return hasOwnUnit(text) ? parseAmount(text, format) : convert(text, unit, format)
}

/**
 * Converts exactly: the grammar of amounts has no word for single currency units, so that the unit of the plan is scaled instead.
 * “n thousand” in a unit of `1000 * plan / unit` is n * unit / plan.
 */
function convert(text: string, unit: number, format: AmountFormat): ParsedAmount {
  if (unit === format.unit) return parseAmount(text, format)
  const read = parseAmount(`${text} thousand`, { ...format, unit: (1_000 * format.unit) / unit })
  // The reason of a rejection quotes the text as it is in the table.
  return "value" in read ? read : parseAmount(text, format)
}
