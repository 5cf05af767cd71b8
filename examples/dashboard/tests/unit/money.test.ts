import { describe, expect, it } from "vitest"
import { digits, marksOf, POINT, parseAmount, typed, unitName } from "../../src/plan/money"

describe("a number as people type and paste it", () => {
  it.each([
    ["5", 5],
    [" 12.5 ", 12.5],
    [".5", 0.5],
    ["1,250", 1250],
    ["12,50,000", 1_250_000],
    ["1,234,567.89", 1_234_567.89],
    ["1.234.567,89", 1_234_567.89],
    ["3,5", 3.5],
    ["1 250", 1250],
    ["1\u00a0250", 1250],
    ["₹ 3.5", 3.5],
    ["$1,000", 1000],
    ["INR 7", 7],
    ["0,125", 0.125],
    ["-4", -4],
    ["9007199254740991", 9_007_199_254_740_991],
  ])("%j is %d", (text, number) => expect(parseAmount(text, POINT)).toBe(number))

  it.each(["", "a lot", "1,2,3", "1.2.3", "--1", "1e9", "0x10", "5 lakh", "Infinity"])("%j is none", (text) =>
    expect(parseAmount(text, POINT)).toBeNull(),
  )
})

describe("the marks of whoever reads decide", () => {
  it.each([
    ["de", "12,125", 12.125],
    ["de", "12.125", 12_125],
    ["de", "12.5", 12.5],
    ["de", ",5", 0.5],
    ["de", "1.234.567", 1_234_567],
    ["de", "12,50,000", 1_250_000],
    ["pt-BR", "1.234,5", 1_234.5],
    ["fr", "12,125", 12.125],
    ["fr", "12.125", 12.125],
    ["fr", "1\u202f234,5", 1_234.5],
    ["en-IN", "12,125", 12_125],
    ["en-IN", "12.125", 12.125],
    ["en", "12,125", 12_125],
    ["en", "3,5", 3.5],
  ])("in %s %j is %d", (language, text, number) => expect(parseAmount(text, marksOf(language))).toBe(number))

  it.each(["de", "es", "it", "pt-BR", "id", "tr", "fr", "sv", "de-CH", "ar-EG", "en-IN", "en"])(
    "in %s what is shown for typing is read back as it was",
    (language) => {
      const marks = marksOf(language)
      for (const budget of [0, 12.5, 12.125, 12_125, 1_234.567, 1e-7, 0.1 + 0.2, 1_234_567.89, Number.MAX_SAFE_INTEGER])
        expect(parseAmount(typed(budget, marks), marks)).toBe(budget)
    },
  )
})

it("what is not there is shown for typing as nothing", () => expect(typed(null)).toBe(""))

it.each([1e-7, -1.5e-10, 1.25e21, 5e-324, 12.125, 0])("%d is written with all of its digits, and read back", (value) => {
  expect(digits(value)).toMatch(/^-?\d+(\.\d+)?$/)
  expect(parseAmount(digits(value), POINT)).toBe(value)
})

it("units have names, and others are numbers", () => {
  expect([1, 100_000, 10_000_000].map(unitName)).toEqual(["", "lakh", "crore"])
  expect(unitName(500)).toContain("500")
})
