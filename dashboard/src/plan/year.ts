/** The twelve months of a plan. */
import { monthFromNumber, monthNumber } from "./month"

/** Number of months of a year. */
export const MONTHS_PER_YEAR = 12

/**
 * First month of the year of a plan that does not set one: April of the current fiscal year for Indian rupees, January of the current year
 * for other currencies. `today`: the current month.
 */
export function defaultYearStart(currency: string, today: string): string {
  const year = Number(today.slice(0, 4))
  if (currency !== "INR") return `${year}-01`
  return monthNumber(today) >= monthNumber(`${year}-04`) ? `${year}-04` : `${year - 1}-04`
}

/** The twelve months from a month. */
export const monthsFrom = (start: string): string[] =>
  Array.from({ length: MONTHS_PER_YEAR }, (_, at) => monthFromNumber(monthNumber(start) + at))
