/**
 * Months and dates as people type, paste and import them.
 *
 * A text is parsed exactly or rejected; nothing is guessed.
 */

/** Years from 1900 to 9999 are valid. */
const [FIRST_YEAR, LAST_YEAR] = [1900, 9999]

/** A day, or a month without a day. */
export interface CalendarParts {
  year: number
  month: number
  day: number | null
}

/** The parts of a text; two readings, month first and day first, if it does not show which is meant; `null` if it is no date. */
export type ParsedCalendar = CalendarParts | { either: readonly [CalendarParts, CalendarParts] } | null

/** Whether day or month comes first in dates such as 05/06/2027; `null` if unknown. */
export type DateOrder = "day" | "month" | null

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

/** Whether a text contains no date: empty, white space, or a single dash as in an empty table cell. */
export const isBlankDate = (text: string): boolean => /^-?$/.test(fold(text))

/** Parses a month or a date. `order`: of day and month in dates that do not show it. */
export function parseCalendar(text: string, order: DateOrder = null, names = LOCAL_NAMES): ParsedCalendar {
  const body = fold(text)
    .replace(TIME, "")
    .replace(/(\d)(st|nd|rd|th)\b/g, "$1")
  // Only separators may remain between the parts.
  if (body.replace(PARTS, "").replace(/[-/.,' ]/g, "") !== "" || /^[-/.,']/.test(body)) return null
  const parts = body.match(PARTS) ?? []
  const months = parts.flatMap((part, at) => (names.has(part) ? [at] : []))
  const [named] = months
  if (parts.some((part) => !/^\d+$/.test(part) && !names.has(part)) || months.length > 1) return null
  const numbers = parts.filter((_, at) => at !== named)
  if (named !== undefined) return fromName(names.get(parts[named] ?? "") ?? 0, named, numbers)
  return fromNumbers(numbers, body.includes(".") ? "day" : order)
}

/** `Jun 2027`, `2027 June`, `June 27`, `1 June 2027`, `June 1, 2027`, `01-Jun-27`. */
function fromName(month: number, at: number, numbers: readonly string[]): CalendarParts | null {
  const [first = "", second] = numbers
  if (numbers.length === 1) {
    // After the name, two digits are a year; before it, they could also be a day.
    return first.length === 4 || (first.length === 2 && at === 0) ? toParts(yearOf(first), month) : null
  }
  if (numbers.length !== 2 || second === undefined) return null
  const [year, day] = first.length === 4 ? [first, second] : [second, first]
  if (year.length !== 4 && !(year.length === 2 && at === 1)) return null
  return toParts(yearOf(year), month, day)
}

/** `2027-06`, `6/2027`, `2027-06-15`, `15/06/2027`. */
function fromNumbers(numbers: readonly string[], order: DateOrder): ParsedCalendar {
  const [first = "", second = "", third] = numbers
  if (numbers.length < 2 || numbers.length > 3) return null
  if (first.length === 4) return second.length > 2 ? null : toParts(Number(first), Number(second), third)
  const year = third ?? second
  if (first.length > 2 || year.length !== 4 || (third !== undefined && second.length > 2)) return null
  if (third === undefined) return toParts(Number(year), Number(first))
  const [one, other] = [Number(first), Number(second)]
  const isDayFirst = one > 12 || one === other || (other <= 12 && order === "day")
  const monthFirst = () => toParts(Number(year), one, second)
  const dayFirst = () => toParts(Number(year), other, first)
  if (isDayFirst) return dayFirst()
  if (other > 12 || order !== null) return monthFirst()
  const [early, late] = [monthFirst(), dayFirst()]
  return early && late ? { either: [early, late] } : null
}

const yearOf = (digits: string): number => Number(digits) + (digits.length === 2 ? 2_000 : 0)

/** Number of days of a month. */
export const lastDayOf = (year: number, month: number): number => new Date(Date.UTC(year, month, 0)).getUTCDate()

function toParts(year: number, month: number, day?: string): CalendarParts | null {
  if (!(year >= FIRST_YEAR && year <= LAST_YEAR && month >= 1 && month <= 12)) return null
  if (day === undefined) return { year, month, day: null }
  const number = Number(day)
  return day.length > 2 || number < 1 || number > lastDayOf(year, month) ? null : { year, month, day: number }
}

/** The order of day and month that a date shows by a day above 12; `null` if it shows none. */
export function dateOrderOf(text: string): DateOrder {
  const [, first, second] = /^(\d{1,2})[-/](\d{1,2})[-/]\d{4}\b/.exec(fold(text)) ?? []
  if (Number(first) > 12 && Number(second) <= 12) return "day"
  return Number(second) > 12 && Number(first) <= 12 ? "month" : null
}
