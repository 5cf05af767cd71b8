/**
 * Arithmetic as people type it into an amount or a number: `=40*1.1`, `=12L + 2.5 cr`, `=(30 + 10) / 2`.
 *
 * Only a typed text that starts with `=` is calculated, once, and the result is stored. Operands follow the grammar of amounts.
 */
import { type AmountFormat, namesUnitOrCurrency, type ParsedAmount, parseAmount, parseNumber } from "./amount"

/** Longer texts are rejected, which also bounds the depth of parentheses. */
const MAX_LENGTH = 200

/** A signed amount or factor. */
interface Operand {
  value: number
  /** It names a unit or a currency. */
  isNamed: boolean
}

/** Thrown and caught inside this file only. */
class FormulaError {
  constructor(readonly problem: string) {}
}

/** Whether a typed text is arithmetic. */
export const isFormula = (text: string): boolean => /^\s*[=＝]/.test(text)

/** Calculates an amount from a typed text that starts with `=`. */
export function calculate(text: string, format: AmountFormat): ParsedAmount {
  const result = evaluate(text, (operand) => parseAmount(operand, format))
  return "value" in result && result.value < 0 ? { problem: "The result is negative. A budget cannot be negative." } : result
}

/** Calculates a number, which has no unit and may be negative, from a typed text that starts with `=`. */
export const calculateNumber = (text: string): ParsedAmount => evaluate(text, (operand) => parseNumber(operand))

/** The result has 15 significant digits, so that 40 × 1.1 is 44. */
function evaluate(text: string, parseOperand: (text: string) => ParsedAmount): ParsedAmount {
  try {
    const { value } = new Parser(text, parseOperand).parse()
    const result = Number.isInteger(value) ? value : Number(value.toPrecision(15))
    if (!(Math.abs(result) <= Number.MAX_SAFE_INTEGER)) throw new FormulaError("The result is too large.")
    return { value: result || 0 }
  } catch (error) {
    if (error instanceof FormulaError) return { problem: error.problem }
    throw error
  }
}

/** A number with its words, up to an operator. The sign of an exponent belongs to the number. */
const OPERAND = /(?:(?<=\d)[eE][-+]\d+|[^-+*/()%])+/y

class Parser {
  #text: string
  #at = 0

  constructor(
    private readonly typed: string,
    private readonly parseOperand: (text: string) => ParsedAmount,
  ) {
    this.#text = typed
      .trim()
      .slice(1)
      .replace(/[×✕∗]/g, "*")
      .replace(/[÷∕]/g, "/")
      .replace(/[\u2010-\u2015\u2212\ufe63\uff0d]/g, "-")
      .replace(/＋/g, "+")
  }

  parse(): Operand {
    if (this.#text.length > MAX_LENGTH) throw new FormulaError(`A formula can have at most ${MAX_LENGTH} characters.`)
    const result = this.#sum()
    if (this.#next() !== "") throw this.#invalid()
    return result
  }

  /** The next character that is not a space; empty at the end. */
  #next(): string {
    while (/\s/.test(this.#text[this.#at] ?? "")) this.#at += 1
    return this.#text[this.#at] ?? ""
  }

  #take(...operators: string[]): string | null {
    const found = this.#next()
    if (!operators.includes(found) || found === "") return null
    this.#at += 1
    return found
  }

  #sum(): Operand {
    let sum = this.#product()
    for (let operator = this.#take("+", "-"); operator; operator = this.#take("+", "-")) {
      const other = this.#product()
      sum = { value: sum.value + (operator === "+" ? other.value : -other.value), isNamed: sum.isNamed || other.isNamed }
    }
    return sum
  }

  #product(): Operand {
    let product = this.#signed()
    for (let operator = this.#take("*", "/"); operator; operator = this.#take("*", "/")) {
      const other = this.#signed()
      if (operator === "*") {
        if (product.isNamed && other.isNamed) throw new FormulaError("An amount cannot be multiplied by another amount.")
        product = { value: product.value * other.value, isNamed: product.isNamed || other.isNamed }
      } else {
        if (other.isNamed) throw new FormulaError("Divide by a number without a unit or currency.")
        if (other.value === 0) throw new FormulaError("A number cannot be divided by zero.")
        product = { value: product.value / other.value, isNamed: product.isNamed }
      }
    }
    return product
  }

  #signed(): Operand {
    const sign = this.#take("+", "-")
    const { value, isNamed } = sign ? this.#signed() : this.#percentage()
    return { value: sign === "-" ? -value : value, isNamed }
  }

  #percentage(): Operand {
    let { value, isNamed } = this.#operand()
    while (this.#take("%")) {
      if (isNamed) throw new FormulaError("A percentage cannot have a unit or currency.")
      value /= 100
    }
    return { value, isNamed }
  }

  #operand(): Operand {
    if (this.#take("(")) {
      const inner = this.#sum()
      if (!this.#take(")")) throw this.#invalid()
      return inner
    }
    this.#next()
    OPERAND.lastIndex = this.#at
    const text = OPERAND.exec(this.#text)?.[0] ?? ""
    if (text.trim() === "") throw this.#invalid()
    this.#at += text.length
    const read = this.parseOperand(text)
    if ("problem" in read) throw new FormulaError(read.problem)
    return { value: read.value, isNamed: namesUnitOrCurrency(text) }
  }

  #invalid(): FormulaError {
    const shown = this.typed.trim()
    const quoted = shown.length > 40 ? `${shown.slice(0, 40)}…` : shown
    return new FormulaError(`“${quoted}” cannot be calculated. Use numbers, + - * / % and parentheses, such as =40*1.1.`)
  }
}
