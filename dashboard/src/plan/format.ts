/** Money, numbers and moments as they are written where the reader lives. */
import { LOCALE_SEPARATORS, type NumberSeparators } from "./amount"

/** What units are called. Others are shown as a number. */
const UNITS = new Map([
  [1, ""],
  [1_000, "thousand"],
  [100_000, "lakh"],
  [1_000_000, "million"],
  [10_000_000, "crore"],
])

export const UNIT_CHOICES = [...UNITS].map(([unit, name]) => ({ unit, name: name || "single" }))

const numbers = new Intl.NumberFormat(undefined, { maximumFractionDigits: 2 })
const exact = new Intl.NumberFormat(undefined, { maximumFractionDigits: 6 })

/** ₹, $, …; the code where there is no symbol. */
function currencySymbol(currency: string): string {
  try {
    const parts = new Intl.NumberFormat(undefined, { style: "currency", currency, currencyDisplay: "narrowSymbol" }).formatToParts(0)
    return parts.find((part) => part.type === "currency")?.value ?? currency
  } catch {
    return currency
  }
}

/** The unit in words: `lakh`, or `× 500`. */
export const unitName = (unit: number): string => UNITS.get(unit) ?? `× ${numbers.format(unit)}`

/** `₹ lakh`, for the head of a column. */
export const unitLabel = (currency: string, unit: number): string => [currencySymbol(currency), unitName(unit)].filter(Boolean).join(" ")

/** A budget, without its unit: with so many decimals that those which differ look different, also in crore. */
export const formatAmount = (budget: number | null): string => (budget === null ? "—" : exact.format(budget))

/** A sum of budgets, without its unit. */
export const formatSum = (budgets: number): string => numbers.format(budgets)

/** `₹1,250 lakh`. */
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

/** A number with all of its digits and a point, never as `1e-7`. */
export function toPlainDecimal(value: number): string {
  const [mantissa = "", exponent] = String(Math.abs(value)).split("e")
  const sign = value < 0 ? "-" : ""
  if (exponent === undefined) return sign + mantissa
  const [whole = "", fraction = ""] = mantissa.split(".")
  const point = whole.length + Number(exponent)
  return sign + (point > 0 ? (whole + fraction).padEnd(point, "0") : `0.${"0".repeat(-point)}${whole}${fraction}`)
}

/** A number in a field for typing, and for the clipboard: as the reader writes it, so that it is read back as it was. */
export const toEditText = (budget: number | null, { decimal }: NumberSeparators = LOCALE_SEPARATORS): string =>
  budget === null ? "" : toPlainDecimal(budget).replace(".", decimal === "," ? "," : ".")

const moments = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" })
const days = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" })
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto", style: "short" })

export const formatDateTime = (at: number | null): string => (at === null ? "" : moments.format(at))

/** `5 min. ago` for what is fresh, the day for what is not. */
export function formatRelativeTime(at: number | null, now: number): string {
  if (at === null) return ""
  const seconds = Math.round((at - now) / 1_000)
  if (seconds > -45) return relative.format(0, "second")
  if (seconds > -3_600) return relative.format(Math.round(seconds / 60), "minute")
  if (seconds > -86_400) return relative.format(Math.round(seconds / 3_600), "hour")
  return days.format(at)
}
