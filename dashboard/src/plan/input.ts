/** Parses a user's input in a cell or form. */
import { isBlankAmount, parseAmount } from "./amount"
import { calculate, isFormula } from "./arithmetic"
import { parseChoice } from "./choice"
import { validateField } from "./edit"
import { type FieldKey, isAmountField, isChoiceField, isMonthField } from "./fields"
import { type DateOrder, parseMonth } from "./month"
import type { FieldValue, Settings } from "./schema"

/** A parsed value, or a message for the user. */
export type ParsedInput = { value: FieldValue } | { problem: string }

/**
 * Parses typed input. An empty amount is unknown (`null`); other amounts are in currency and unit of the plan, and may be arithmetic such
 * as `=40*1.1`. In other fields, a text that starts with `=` is text. The first letters of a choice suffice.
 */
export function parseInput(field: FieldKey, text: string, settings: Settings): ParsedInput {
  const { currency, unit } = settings
  if (isAmountField(field) && isFormula(text)) return calculate(text, { currency, unit })
  if (isChoiceField(field)) return parseChoice(field, text, true)
  return parseValue(field, text, settings)
}

/** Parses a value from the clipboard or a file: like typed input, without arithmetic and abbreviations. `order`: of day and month in dates. */
export function parseValue(
  field: FieldKey,
  text: string,
  { currency, unit }: Pick<Settings, "currency" | "unit">,
  order: DateOrder = null,
): ParsedInput {
  if (isChoiceField(field)) return parseChoice(field, text)
  if (isMonthField(field)) return parseMonth(text, order)
  if (isAmountField(field)) return isBlankAmount(text) ? { value: null } : parseAmount(text, { currency, unit })
  const value = text.trim()
  const problem = validateField(field, value)
  return problem === null ? { value } : { problem }
}
