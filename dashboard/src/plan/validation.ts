/** Which values a field or column takes. */
import { choiceProblem, isChoice } from "./choice"
import { dateProblem, isDate } from "./date"
import { type Field, fieldNoun, isAmountField, isChoiceField, isMonthField, isRequiredField, kindOf } from "./fields"
import { isMonth, monthProblem } from "./month"
import { type FieldValue, MAX_AMOUNT, MAX_TEXT } from "./schema"
import { countCharacters, isBlank } from "./text"

/** Why a value is not valid, as a message for the user; `null` if it is valid. */
export function validateField(field: Field, value: FieldValue): string | null {
  const noun = fieldNoun(field)
  if (isAmountField(field)) {
    if (value === null) return null
    if (typeof value !== "number" || !Number.isFinite(value)) return `A ${noun} must be a number.`
    if (value < 0) return `A ${noun} cannot be negative.`
    return value > MAX_AMOUNT ? "This number is too large." : null
  }
  if (isChoiceField(field)) return value === null || isChoice(field, String(value)) ? null : choiceProblem(field, String(value))
  if (isMonthField(field)) return value === null || isMonth(String(value)) ? null : monthProblem(String(value))
  const kind = kindOf(field)
  if (kind === "unknown") return "This version of the page does not know the type of the column."
  if (kind === "date") return value === null || isDate(String(value)) ? null : dateProblem(String(value))
  if (kind === "number") {
    if (value === null || (typeof value === "number" && Math.abs(value) <= MAX_AMOUNT)) return null
    return typeof value === "number" ? "This number is too large." : `“${value}” is not a number.`
  }
  const text = String(value ?? "")
  if (isRequiredField(field) && isBlank(text)) return `A position needs a ${noun}.`
  return countCharacters(text) > MAX_TEXT ? `Use at most ${MAX_TEXT.toLocaleString()} characters.` : null
}
