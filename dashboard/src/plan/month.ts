/**
 * Months as the document stores them, `2027-06`, and as people type, paste and import them.
 *
 * A month is parsed exactly or rejected with a reason; nothing is guessed. A full date becomes its month.
 */
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

/** Whether day or month comes first in dates such as 05/06/2027; `null` if unknown. */
export type DateOrder = "day" | "month" | null

/** A month, `null` for none, or a message for the user. */
export type ParsedMonth = { value: string | null } | { problem: string }

const ENGLISH = ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"]

/** The months by their names in English and in a language, by default the browser's. Names have no final point. */
export function monthNames(language?: string): ReadonlyMap<string, number> {
  const names = new Map<string, number>()
  for (let month = 1; month <= 12; month += 1) {
    for (const style of ["long", "short"] as const) {
      const date = Date.UTC(2027, month - 1, 15)
      const parts = new Intl.DateTimeFormat(language, { year: "numeric", month: style, timeZone: "UTC" }).formatToParts(date)
      const name = parts.find(({ type }) => type === "month")?.value ?? ""
      if (/^\p{L}/u.test(name)) names.set(fold(name).replace(/\.$/, ""), month)
    }
  }
  // English names go last: they have the same meaning in every language.
  for (const [at, name] of ENGLISH.entries())
    for (let length = 3; length <= name.length; length += 1) names.set(name.slice(0, length), at + 1)
  return names
}

const fold = (text: string): string =>
  text
    .normalize("NFKC")
    .replace(/\p{Default_Ignorable_Code_Point}/gu, "")
    .replace(/[\u2010-\u2015\u2212]/g, "-")
    .replace(/\s+/g, " ")
    .trim()
    .toLowerCase()

const LOCAL_NAMES = monthNames()
const TIME = /[t ]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?( ?[ap]m)?( ?(z|utc|gmt|[+-]\d{2}:?\d{2}))?$/
/** Separators, ordinals, and points or apostrophes beside names. */
const PARTS = /\d+(?=(?:st|nd|rd|th)\b)|\d+|[\p{L}\p{M}]+/gu

/** Parses a month or a date. `order`: of day and month in dates that do not show it. */
export function parseMonth(text: string, order: DateOrder = null, names = LOCAL_NAMES): ParsedMonth {
  const cleaned = fold(text)
  if (cleaned === "" || cleaned === "-") return { value: null }
  const body = cleaned.replace(TIME, "").replace(/(\d)(st|nd|rd|th)\b/g, "$1")
  // Only separators may remain between the parts.
  if (body.replace(PARTS, "").replace(/[-/.,' ]/g, "") !== "" || /^[-/.,']/.test(body)) return notAMonth(text)
  const parts = body.match(PARTS) ?? []
  const months = parts.flatMap((part, at) => (names.has(part) ? [at] : []))
  const [named] = months
  if (parts.some((part) => !/^\d+$/.test(part) && !names.has(part)) || months.length > 1) return notAMonth(text)
  const numbers = parts.filter((_, at) => at !== named)
  if (named !== undefined) return fromName(text, names.get(parts[named] ?? "") ?? 0, named, numbers)
  return fromNumbers(text, numbers, body.includes(".") ? "day" : order)
}

/** `Jun 2027`, `2027 June`, `June 27`, `1 June 2027`, `June 1, 2027`, `01-Jun-27`. */
function fromName(text: string, month: number, at: number, numbers: readonly string[]): ParsedMonth {
  const [first = "", second] = numbers
  if (numbers.length === 1) {
    // After the name, two digits are a year; before it, they could also be a day.
    if (first.length === 4 || (first.length === 2 && at === 0)) return toMonth(text, yearOf(first), month)
    return notAMonth(text)
  }
  if (numbers.length !== 2 || second === undefined) return notAMonth(text)
  const [year, day] = first.length === 4 ? [first, second] : [second, first]
  if (year.length !== 4 && !(year.length === 2 && at === 1)) return notAMonth(text)
  return toMonth(text, yearOf(year), month, day)
}

/** `2027-06`, `6/2027`, `2027-06-15`, `15/06/2027`. */
function fromNumbers(text: string, numbers: readonly string[], order: DateOrder): ParsedMonth {
  const [first = "", second = "", third] = numbers
  if (numbers.length < 2 || numbers.length > 3) return notAMonth(text)
  if (first.length === 4) return second.length > 2 ? notAMonth(text) : toMonth(text, Number(first), Number(second), third)
  const year = third ?? second
  if (first.length > 2 || year.length !== 4 || (third !== undefined && second.length > 2)) return notAMonth(text)
  if (third === undefined) return toMonth(text, Number(year), Number(first))
  const [one, other] = [Number(first), Number(second)]
  const isDayFirst = one > 12 || one === other || (other <= 12 && order === "day")
  if (!isDayFirst && other <= 12 && order === null) {
    const [early, late] = [one, other].map((month) => `${year}-${String(month).padStart(2, "0")}`)
    return { problem: `“${truncate(text)}” may be ${early} or ${late}. Enter the month, such as ${early}.` }
  }
  return isDayFirst ? toMonth(text, Number(year), other, first) : toMonth(text, Number(year), one, second)
}

const yearOf = (digits: string): number => Number(digits) + (digits.length === 2 ? 2_000 : 0)

function toMonth(text: string, year: number, month: number, day?: string): ParsedMonth {
  const value = `${String(year).padStart(4, "0")}-${String(month).padStart(2, "0")}`
  if (!isMonth(value)) return notAMonth(text)
  const lastDay = new Date(Date.UTC(year, month, 0)).getUTCDate()
  if (day !== undefined && (day.length > 2 || Number(day) < 1 || Number(day) > lastDay)) return notAMonth(text)
  return { value }
}

/** Why a text is not a month. */
export const monthProblem = (text: string): string => `“${truncate(text)}” is not a month. Enter a month, such as 2027-06 or Jun 2027.`

const notAMonth = (text: string): ParsedMonth => ({ problem: monthProblem(text) })

/** The order of day and month that a date shows by a day above 12; `null` if it shows none. */
export function dateOrderOf(text: string): DateOrder {
  const [, first, second] = /^(\d{1,2})[-/](\d{1,2})[-/]\d{4}\b/.exec(fold(text)) ?? []
  if (Number(first) > 12 && Number(second) <= 12) return "day"
  return Number(second) > 12 && Number(first) <= 12 ? "month" : null
}
