/** Parses the value of a choice, such as the status of a position. */
import { type ChoiceField, choicesOf, type Field, fieldNoun, isOwnColumn } from "./fields"
import { foldText, truncate } from "./text"

/** A value as the document stores it, `null` for none, or a message for the user. */
export type ParsedChoice = { value: string | null } | { problem: string }

const DASHES = /^[-\u2010-\u2015]$/u

/** Whether a stored value is one of the choices. Another spelling is not: other programs compare exactly. */
export const isChoice = (field: Field, value: string): boolean => choicesOf(field).some((choice) => choice.value === value)

/** The choices whose label starts with a text, in their order. All of them for an empty text. */
export function matchingChoices(field: ChoiceField, text: string) {
  const typed = foldText(text)
  return choicesOf(field).filter(({ value, label }) => [value, label].some((name) => foldText(name).startsWith(typed)))
}

/**
 * Parses a label or value, in any case. `isTyped`: a person types into a cell, so the first letters suffice if they name a single choice.
 */
export function parseChoice(field: ChoiceField, text: string, isTyped = false): ParsedChoice {
  const folded = foldText(text)
  if (folded === "" || DASHES.test(folded)) return { value: null }
  const exact = choicesOf(field).find(({ value, label }) => [value, label].some((name) => foldText(name) === folded))
  if (exact) return { value: exact.value }
  const [first, second] = isTyped ? matchingChoices(field, text) : []
  return first && !second ? { value: first.value } : { problem: choiceProblem(field, text) }
}

/** Why a text is not a choice: `“frozen” is not a status. Choose Proposed, Approved, Open or Filled.` */
export function choiceProblem(field: ChoiceField, text: string): string {
  const labels = choicesOf(field).map(({ label }) => label)
  const list = labels.length > 1 ? `${labels.slice(0, -1).join(", ")} or ${labels.at(-1)}` : (labels[0] ?? "")
  const what = isOwnColumn(field) ? `an option of “${field.label}”` : `a ${fieldNoun(field)}`
  return `“${truncate(text)}” is not ${what}.${list && ` Choose ${list}.`}`
}
