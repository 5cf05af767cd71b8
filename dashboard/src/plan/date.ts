/** Dates as the document stores them: `2027-06-15`. */
import { type CalendarParts, type DateOrder, isBlankDate, lastDayOf, parseCalendar } from "./calendar"
import { truncate } from "./text"

const DATE = /^(19\d{2}|[2-9]\d{3})-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$/

/** Whether a stored value is a date. */
export const isDate = (value: string): boolean =>
  DATE.test(value) && Number(value.slice(8)) <= lastDayOf(Number(value.slice(0, 4)), Number(value.slice(5, 7)))

/** A date, `null` for none, or a message for the user. */
export type ParsedDate = { value: string | null } | { problem: string }

/** Parses a date. `order`: of day and month in dates that do not show it. */
export function parseDate(text: string, order: DateOrder = null): ParsedDate {
  if (isBlankDate(text)) return { value: null }
  const parsed = parseCalendar(text, order)
  if (parsed === null) return { problem: dateProblem(text) }
  if ("either" in parsed) {
    const [early, late] = parsed.either.map(dateOf)
    return { problem: `“${truncate(text)}” may be ${early} or ${late}. Enter the date, such as ${early}.` }
  }
  return parsed.day === null ? { problem: dateProblem(text) } : { value: dateOf(parsed) }
}

const twoDigits = (number: number): string => String(number).padStart(2, "0")
const dateOf = ({ year, month, day }: CalendarParts): string => `${year}-${twoDigits(month)}-${twoDigits(day ?? 1)}`

/** The date a number of days and months later; the same date if the result is not a valid one. The day stays within its month. */
export function shiftDate(date: string, days: number, months = 0): string {
  const [year, month, day] = [Number(date.slice(0, 4)), Number(date.slice(5, 7)) + months, Number(date.slice(8))]
  const shifted = new Date(Date.UTC(year, month - 1, Math.min(day, lastDayOf(year, month)) + days)).toISOString().slice(0, 10)
  return isDate(shifted) ? shifted : date
}

/** Why a text is not a date. */
export const dateProblem = (text: string): string => `“${truncate(text)}” is not a date. Enter a date, such as 2027-06-15 or 15 Jun 2027.`
