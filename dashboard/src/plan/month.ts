/** Months as the document stores them: `2027-06`. A full date that somebody enters becomes its month. */
import { type CalendarParts, type DateOrder, isBlankDate, parseCalendar } from "./calendar"
import { truncate } from "./text"

/** A stored month: a year from 1900 to 9999 and a month from 01 to 12. */
const MONTH = /^(19\d{2}|[2-9]\d{3})-(0[1-9]|1[0-2])$/

/** Whether a stored value is a month. */
export const isMonth = (value: string): boolean => MONTH.test(value)

/** Months since the year 0, for arithmetic. */
export const monthNumber = (month: string): number => Number(month.slice(0, 4)) * 12 + Number(month.slice(5)) - 1

/** The month with a number of {@link monthNumber}. */
export const monthFromNumber = (number: number): string =>
  `${String(Math.floor(number / 12)).padStart(4, "0")}-${String((number % 12) + 1).padStart(2, "0")}`

/** The month `by` months later; the same month if the result is not a valid one. */
export function shiftMonth(month: string, by: number): string {
  const shifted = monthFromNumber(monthNumber(month) + by)
  return isMonth(shifted) ? shifted : month
}

/** A month, `null` for none, or a message for the user. */
export type ParsedMonth = { value: string | null } | { problem: string }

/** Parses a month or a date. `order`: of day and month in dates that do not show it. `names`: of months, by default in the browser's language. */
export function parseMonth(text: string, order: DateOrder = null, names?: ReadonlyMap<string, number>): ParsedMonth {
  if (isBlankDate(text)) return { value: null }
  const parsed = parseCalendar(text, order, names)
  if (parsed === null) return { problem: monthProblem(text) }
  if (!("either" in parsed)) return { value: monthOf(parsed) }
  const [early, late] = parsed.either.map(monthOf)
  return { problem: `“${truncate(text)}” may be ${early} or ${late}. Enter the month, such as ${early}.` }
}

const monthOf = ({ year, month }: CalendarParts): string => `${year}-${String(month).padStart(2, "0")}`

/** Why a text is not a month. */
export const monthProblem = (text: string): string => `“${truncate(text)}” is not a month. Enter a month, such as 2027-06 or Jun 2027.`
