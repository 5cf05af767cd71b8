import { describe, expect, it } from "vitest"
import { type AmountFormat, CANONICAL_SEPARATORS, namedUnit, namesUnitOrCurrency, separatorsOf } from "../../src/plan/amount"
import { calculate, isFormula } from "../../src/plan/arithmetic"
import { parseInput, parseValue } from "../../src/plan/input"

const lakh: AmountFormat = { separators: CANONICAL_SEPARATORS, currency: "INR", unit: 100_000 }

it.each<[string, number]>([
  ["=40*1.1", 44],
  [" = 40 × 1.1 ", 44],
  ["=12L", 12],
  ["=12L + 2.5 cr", 262],
  ["=25 lakh/2", 12.5],
  ["=2*1cr", 200],
  ["=(30+10)/4", 10],
  ["=((1))", 1],
  ["=10-3-2", 5],
  ["=2+3*4", 14],
  ["=-5+8", 3],
  ["=40*110%", 44],
  ["=40+40*5%", 42],
  ["=0.1+0.2", 0.3],
  ["=1e-2*100", 1],
  ["=₹40 + 2", 42],
  ["＝7−2", 5],
  ["=1,000/2", 500],
  ["=-0", 0],
])("%s is %d", (text, value) => expect(calculate(text, lakh)).toEqual({ value }))

it.each([
  ["=", "“=” cannot be calculated. Use numbers, + - * / % and parentheses, such as =40*1.1."],
  ["=40*", "“=40*” cannot be calculated. Use numbers, + - * / % and parentheses, such as =40*1.1."],
  ["=(40", "“=(40” cannot be calculated. Use numbers, + - * / % and parentheses, such as =40*1.1."],
  ["=40)", "“=40)” cannot be calculated. Use numbers, + - * / % and parentheses, such as =40*1.1."],
  ["=40/0", "A number cannot be divided by zero."],
  ["=5-8", "The result is negative. A budget cannot be negative."],
  ["=$40*2", "“$40” is in $, but this plan is in INR."],
  ["=1cr*2L", "An amount cannot be multiplied by another amount."],
  ["=10/2L", "Divide by a number without a unit or currency."],
  ["=10L%", "A percentage cannot have a unit or currency."],
  ["=50k+1", "“k” is ambiguous. Write the unit in full: thousand, lakh, million, crore or billion."],
  ["=SUM(A1)", "“SUM” is not an amount. Enter a number, such as 12 or 8 lakh."],
  ["=9007199254740991+1", "The result is too large."],
  [`=${"(".repeat(500)}`, "A formula can have at most 200 characters."],
])("%s is rejected with a reason", (text, problem) => expect(calculate(text, lakh)).toEqual({ problem }))

it("the decimal mark of the language is used", () => {
  const german = { ...lakh, separators: separatorsOf("de") }
  expect(calculate("=40*1,5", german)).toEqual({ value: 60 })
})

describe("the clipboard and text fields", () => {
  const settings = { name: "", currency: "INR", unit: 100_000, totalBudget: null, yearStart: null }

  it("never calculate", () => {
    expect(parseInput("budget", "=40*2", settings)).toEqual({ value: 80 })
    expect(parseValue("budget", "=40*2", settings)).toHaveProperty("problem")
    for (const parse of [parseInput, parseValue]) expect(parse("location", "=40*2", settings)).toEqual({ value: "=40*2" })
  })

  it("tell formulas from other texts", () => {
    expect(["=1", " =1", "＝1", "1=1", ""].map(isFormula)).toEqual([true, true, true, false, false])
  })
})

it("the unit that an amount names is known", () => {
  expect(["8 lakh", "2.5 cr", "12", "₹ 12", "lots", ""].map(namedUnit)).toEqual([100_000, 10_000_000, null, null, null, null])
  expect(["8 lakh", "₹ 12", "12", "lots"].map(namesUnitOrCurrency)).toEqual([true, true, false, false])
})
