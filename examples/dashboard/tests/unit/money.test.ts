import { describe, expect, it } from "vitest"
import { parseAmount, typed, unitName } from "../../src/plan/money"

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
  ])("%j is %d", (text, number) => expect(parseAmount(text)).toBe(number))

  it.each(["", "a lot", "1,2,3", "1.2.3", "--1", "1e9", "0x10", "5 lakh", "Infinity"])("%j is none", (text) =>
    expect(parseAmount(text)).toBeNull(),
  )
})

it("what is shown for typing is read back as it was", () => {
  for (const budget of [0, 12.5, 1_234_567.89, Number.MAX_SAFE_INTEGER]) expect(parseAmount(typed(budget))).toBe(budget)
  expect(typed(null)).toBe("")
})

it("units have names, and others are numbers", () => {
  expect([1, 100_000, 10_000_000].map(unitName)).toEqual(["", "lakh", "crore"])
  expect(unitName(500)).toContain("500")
})
