/** Exact sums of decimal numbers: 0.1 + 0.2 is 0.3, and twelve twelfths are the whole. */

/** Significant digits of a quotient. A number has 17. */
const DIGITS = 25

/** A sum of decimals, each taken a whole number of times. It is rounded once, when it is read. */
export class DecimalSum {
  /** Sums of digits by power of ten. */
  #sums = new Map<number, bigint>()
  /** Whole numbers, as long as their sum is exact. */
  #whole = 0

  add(value: number, times = 1): void {
    const product = value * times
    if (Number.isInteger(value) && Math.abs(product) + Math.abs(this.#whole) <= Number.MAX_SAFE_INTEGER) {
      this.#whole += product
      return
    }
    const [mantissa = "", exponent = "0"] = String(value).split("e")
    const [whole = "", fraction = ""] = mantissa.split(".")
    const power = Number(exponent) - fraction.length
    this.#sums.set(power, (this.#sums.get(power) ?? 0n) + BigInt(whole + fraction) * BigInt(times))
  }

  /** Adds another sum. */
  addSum(other: DecimalSum): void {
    this.add(other.#whole)
    for (const [power, sum] of other.#sums) this.#sums.set(power, (this.#sums.get(power) ?? 0n) + sum)
  }

  /** The number next to the sum divided by a positive whole number. */
  dividedBy(divisor: number): number {
    const least = Math.min(0, ...this.#sums.keys())
    let total = BigInt(this.#whole) * 10n ** BigInt(-least)
    for (const [power, sum] of this.#sums) total += sum * 10n ** BigInt(power - least)
    const [sign, digits] = total < 0n ? [-1, -total] : [1, total]
    const shift = Math.max(0, DIGITS - String(digits).length)
    const dividend = digits * 10n ** BigInt(shift)
    const quotient = dividend / BigInt(divisor)
    // A remainder decides between two numbers that are equally close.
    const sticky = quotient * BigInt(divisor) === dividend ? "0" : "1"
    return sign * Number(`${quotient}${sticky}e${least - shift - 1}`) || 0
  }

  get value(): number {
    return this.dividedBy(1)
  }
}
