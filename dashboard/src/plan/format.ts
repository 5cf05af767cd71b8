/** Formats money, numbers and times for the browser's language. */
import { LOCALE_SEPARATORS, type NumberSeparators } from "./amount"
import { isDate } from "./date"
import { choicesOf, type Field, isAmountField, isFieldKey, isMonthField, kindOf } from "./fields"
import { isMonth } from "./month"
import type { FieldValue } from "./schema"

/** Names of units. Other units are shown as a number. */
const UNITS = new Map([
  [1, ""],
  [1_000, "thousand"],
  [100_000, "lakh"],
  [1_000_000, "million"],
  [10_000_000, "crore"],
])

export const UNIT_CHOICES = [...UNITS].map(([unit, name]) => ({ unit, name: name || "single" }))

const numbers = new Intl.NumberFormat(undefined, { maximumFractionDigits: 2 })
const exactNumbers = new Intl.NumberFormat(undefined, { maximumFractionDigits: 6 })

/** The currency symbol, such as ₹ or $, or the code if there is no symbol. */
function currencySymbol(currency: string): string {
  try {
    const parts = new Intl.NumberFormat(undefined, { style: "currency", currency, currencyDisplay: "narrowSymbol" }).formatToParts(0)
    return parts.find((part) => part.type === "currency")?.value ?? currency
  } catch {
    return currency
  }
}

/** Name of a unit: `lakh`, or `× 500`. */
export const unitName = (unit: number): string => UNITS.get(unit) ?? `× ${numbers.format(unit)}`

/** Unit of a column: `₹ lakh`. */
export const unitLabel = (currency: string, unit: number): string => [currencySymbol(currency), unitName(unit)].filter(Boolean).join(" ")

/** A budget without its unit. Six decimals keep different budgets distinguishable, also in crore. */
export const formatAmount = (budget: number | null): string => (budget === null ? "—" : exactNumbers.format(budget))

/** A sum of budgets without its unit. */
export const formatSum = (budgets: number): string => numbers.format(budgets)

/** An amount with currency and unit: `₹1,250 lakh`. */
export function formatMoney(budget: number, currency: string, unit: number): string {
  let text: string
  try {
    const format = new Intl.NumberFormat(undefined, {
      style: "currency",
      currency,
      currencyDisplay: "narrowSymbol",
      minimumFractionDigits: 0,
      maximumFractionDigits: 2,
    })
    text = format.format(budget)
  } catch {
    text = `${currency} ${numbers.format(budget)}`
  }
  return [text, unitName(unit)].filter(Boolean).join(" ")
}

/** All digits of a number with a decimal point, never in exponential notation. */
export function toPlainDecimal(value: number): string {
  const [mantissa = "", exponent] = String(Math.abs(value)).split("e")
  const sign = value < 0 ? "-" : ""
  if (exponent === undefined) return sign + mantissa
  const [whole = "", fraction = ""] = mantissa.split(".")
  const point = whole.length + Number(exponent)
  return sign + (point > 0 ? (whole + fraction).padEnd(point, "0") : `0.${"0".repeat(-point)}${whole}${fraction}`)
}

/** A number for input fields and the clipboard, in the browser's language. Parsing returns the same number. */
export const toEditText = (budget: number | null, { decimal }: NumberSeparators = LOCALE_SEPARATORS): string =>
  budget === null ? "" : toPlainDecimal(budget).replace(".", decimal === "," ? "," : ".")

const dateTimes = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" })
const dates = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" })
const relativeTimes = new Intl.RelativeTimeFormat(undefined, { numeric: "auto", style: "short" })

export const formatDateTime = (at: number | null): string => (at === null ? "" : dateTimes.format(at))

/** Two times, with their common date once. */
export const formatTimeRange = (start: number, end: number): string => dateTimes.formatRange(start, end)

/** `5 min. ago` within a day, otherwise the date. */
export function formatRelativeTime(at: number | null, now: number): string {
  if (at === null) return ""
  const seconds = Math.round((at - now) / 1_000)
  if (seconds > -45) return relativeTimes.format(0, "second")
  if (seconds > -3_600) return relativeTimes.format(Math.round(seconds / 60), "minute")
  if (seconds > -86_400) return relativeTimes.format(Math.round(seconds / 3_600), "hour")
  return dates.format(at)
}

/** Many positions share few months, and formatting one takes long. */
const monthTexts = new Map<string, string>()
const months = new Intl.DateTimeFormat(undefined, { month: "short", year: "numeric", timeZone: "UTC" })

/** A month: `Jun 2027`. A text that is no month stays as it is. */
export function formatMonth(month: string): string {
  const known = monthTexts.get(month)
  if (known !== undefined || !isMonth(month)) return known ?? month
  const text = months.format(new Date(`${month}-01T00:00:00Z`))
  monthTexts.set(month, text)
  return text
}

const monthLabels = new Intl.DateTimeFormat(undefined, { month: "short", timeZone: "UTC" })

/** The name of a month without its year: `Jun`. */
export const formatMonthName = (month: string): string => monthLabels.format(new Date(`${month}-01T00:00:00Z`))

/** Many positions share few dates. */
const dateTexts = new Map<string, string>()
const utcDates = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeZone: "UTC" })

/** A date: `15 Jun 2027`. A text that is no date stays as it is. */
export function formatDate(date: string): string {
  const known = dateTexts.get(date)
  if (known !== undefined || !isDate(date)) return known ?? date
  const text = utcDates.format(new Date(`${date}T00:00:00Z`))
  dateTexts.set(date, text)
  return text
}

/** A value as its cell shows it: the label of a choice, a month in words. Values that are not valid stay as they are. */
export function displayValue(field: Field, value: FieldValue): string {
  if (isAmountField(field) && typeof value !== "string") return formatAmount(value)
  if (typeof value === "number") return formatAmount(value)
  const text = String(value ?? "")
  if (kindOf(field) === "date") return formatDate(text)
  return isMonthField(field) ? formatMonth(text) : (choicesOf(field).find((choice) => choice.value === text)?.label ?? text)
}

/**
 * A value of a field or setting in a sentence. `field`: its key, or a column of the plan. Fields that other programs added are shown as they
 * are.
 */
export function formatFieldValue(field: Field | string, value: FieldValue): string {
  if (field === "yearStart") return formatValue(value === null ? null : formatMonth(String(value)))
  const isKnown = typeof field !== "string" || isFieldKey(field)
  return typeof value === "string" && isKnown ? formatValue(displayValue(field, value)) : formatValue(value)
}

/** A value of a field or setting, as text. */
export const formatValue = (value: FieldValue): string => (typeof value === "number" ? formatAmount(value) : value || "(empty)")
