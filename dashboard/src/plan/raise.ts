/** Raises and cuts of budgets, by a percentage or by an amount. Computed in decimal digits, so that 40 raised by 10 % is 44. */
import { namesUnitOrCurrency, parseAmount } from "./amount"
import { toPlainDecimal } from "./format"
import type { Settings } from "./schema"

/** A raise; negative for a cut. */
export interface Raise {
  by: "percent" | "amount"
  /** Percent, or an amount in units of the plan. */
  size: number
  /** Results are rounded to multiples of this, halves up. */
  step: number
}

/** The smallest step: budgets are shown with six decimals. */
export const EXACT_STEP = 0.000001
/** The steps that results can be rounded to. */
export const ROUNDING_STEPS: readonly number[] = [EXACT_STEP, 0.01, 0.1, 0.5, 1, 5, 10]
export const DEFAULT_STEP = 0.01

/** A decimal number: `digits` divided by 10 to the power of `scale`. */
interface Decimal {
  digits: bigint
  scale: number
}

function toDecimal(value: number): Decimal {
  const [whole = "0", fraction = ""] = toPlainDecimal(value).split(".")
  return { digits: BigInt(whole + fraction), scale: fraction.length }
}

const scaled = ({ digits, scale }: Decimal, to: number): bigint => digits * 10n ** BigInt(to - scale)

/** The raised budget; negative if a cut is larger than the budget. */
export function raised(budget: number, { by, size, step }: Raise): number {
  const [before, change, multiple] = [toDecimal(budget), toDecimal(size), toDecimal(step)]
  const sum =
    by === "amount"
      ? add(before, change)
      : { digits: before.digits * scaled(add({ digits: 100n, scale: 0 }, change), change.scale), scale: before.scale + change.scale + 2 }
  const scale = Math.max(sum.scale, multiple.scale)
  const [dividend, divisor] = [scaled(sum, scale), scaled(multiple, scale)]
  const count = floorDivide(2n * dividend + divisor, 2n * divisor)
  return Number(`${count * multiple.digits}e-${multiple.scale}`)
}

const add = (one: Decimal, other: Decimal): Decimal => {
  const scale = Math.max(one.scale, other.scale)
  return { digits: scaled(one, scale) + scaled(other, scale), scale }
}

const floorDivide = (dividend: bigint, divisor: bigint): bigint => {
  const quotient = dividend / divisor
  return dividend % divisor !== 0n && dividend < 0n ? quotient - 1n : quotient
}

/** Parses a typed raise: `5`, `+7.5 %`, `-3`; or an amount in the grammar of amounts, with a sign. */
export function parseRaise(text: string, by: Raise["by"], { currency, unit }: Settings): { value: number } | { problem: string } {
  const [, sign = "", rest = ""] = /^\s*([-+\u2010-\u2015\u2212\ufe63\uff0d\uff0b]?)(.*)$/su.exec(text) ?? []
  const isPercent = by === "percent"
  const number = isPercent ? rest.replace(/\s*[%％]\s*$/u, "") : rest
  if (isPercent && namesUnitOrCurrency(number)) return { problem: "A percentage has no unit or currency." }
  if (!isPercent && /[%％]/u.test(rest)) return { problem: "Choose “by a percentage” for a percentage." }
  const parsed = parseAmount(number, isPercent ? { unit: 1 } : { currency, unit })
  if ("problem" in parsed) return parsed
  return { value: sign === "" || sign === "+" || sign === "\uff0b" ? parsed.value : -parsed.value || 0 }
}
