/** Parses a user's input in a cell or form. */
import { isBlankAmount, type NumberSeparators, parseAmount, parseNumber } from "./amount"
import { calculate, calculateNumber, isFormula } from "./arithmetic"
import type { DateOrder } from "./calendar"
import { parseChoice } from "./choice"
import { parseDate } from "./date"
import { type Field, isAmountField, isChoiceField, isMonthField, isOwnColumn, kindOf } from "./fields"
import { parseMonth } from "./month"
import type { FieldValue, Settings } from "./schema"
import { validateField } from "./validation"

/** A parsed value, or a message for the user. */
export type ParsedInput = { value: FieldValue } | { problem: string }

/**
 * Parses typed input. An empty amount is unknown (`null`); other amounts are in currency and unit of the plan, and may be arithmetic such
 * as `=40*1.1`, and so may numbers. In other fields, a text that starts with `=` is text. The first letters of a choice suffice.
 */
export function parseInput(field: Field, text: string, settings: Settings): ParsedInput {
  const { currency, unit } = settings
  if (isFormula(text)) {
    if (isAmountField(field)) return calculate(text, { currency, unit })
    if (kindOf(field) === "number") return calculateNumber(text)
  }
  if (isChoiceField(field)) return parseChoice(field, text, true)
  return parseValue(field, text, settings)
}

/**
 * Parses a value from the clipboard or a file: like typed input, without arithmetic and abbreviations. `order`: of day and month in dates.
 * `separators`: of numbers, by default those of the browser's language.
 */
export function parseValue(
  field: Field,
  text: string,
  { currency, unit }: Pick<Settings, "currency" | "unit">,
  order: DateOrder = null,
  separators?: NumberSeparators,
): ParsedInput {
  if (isChoiceField(field)) return parseChoice(field, text)
  if (isMonthField(field)) return parseMonth(text, order)
  if (isAmountField(field)) return isBlankAmount(text) ? { value: null } : parseAmount(text, { currency, unit })
  if (kindOf(field) === "date") return parseDate(text, order)
  if (kindOf(field) === "number") return isBlankAmount(text) ? { value: null } : parseNumber(text, separators)
  const value = text.trim()
  if (isOwnColumn(field) && value === "") return { value: null }
  const problem = validateField(field, value)
  return problem === null ? { value } : { problem }
}
