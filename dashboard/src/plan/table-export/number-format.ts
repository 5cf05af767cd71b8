/** Number formats of spreadsheets for the currency and the unit of a plan. */
import { toPlainDecimal, unitLabel, unitName } from "../format"
import type { FieldValue, Settings } from "../schema"

/** Six decimals keep different budgets distinguishable, as on the page. */
const MAX_DECIMALS = 6

/** The number of decimals that shows all amounts. */
export function decimalsOf(amounts: readonly FieldValue[]): number {
  let decimals = 0
  for (const amount of amounts)
    if (typeof amount === "number") decimals = Math.max(decimals, toPlainDecimal(amount).split(".")[1]?.length ?? 0)
  return Math.min(decimals, MAX_DECIMALS)
}

/** Currency and unit, such as `₹ lakh`. */
export const currencyText = ({ currency, unit }: Settings): string => unitLabel(currency, unit)

const quote = (text: string): string => `"${text.replaceAll('"', "")}"`

/** Shows an amount with currency and unit: `₹12.50 lakh`. */
export function moneyFormat({ currency, unit }: Settings, decimals: number): string {
  const symbol = unitLabel(currency, 1)
  const name = unitName(unit)
  return `${quote(symbol.length > 1 ? `${symbol} ` : symbol)}#,##0${decimals > 0 ? `.${"0".repeat(decimals)}` : ""}${name ? quote(` ${name}`) : ""}`
}
