/** Parses what a user typed into a cell or form. */
import { isBlankAmount, parseAmount } from "./amount"
import { validateField } from "./edit"
import { type FieldKey, isAmountField } from "./fields"
import type { FieldValue, Settings } from "./schema"

/** A parsed value, or a message for the user. */
export type ParsedInput = { value: FieldValue } | { problem: string }

/** Parses user input. An empty amount is unknown (`null`); other amounts are in currency and unit of the plan. */
export function parseInput(field: FieldKey, text: string, { currency, unit }: Settings): ParsedInput {
  if (isAmountField(field)) return isBlankAmount(text) ? { value: null } : parseAmount(text, { currency, unit })
  const value = text.trim()
  const problem = validateField(field, value)
  return problem === null ? { value } : { problem }
}
