import { expect, it } from "vitest"
import { CANONICAL_SEPARATORS, parseAmount } from "../../src/plan/amount"
import { toEditText, toPlainDecimal, unitName } from "../../src/plan/format"

it("an unknown amount is empty in an editor", () => expect(toEditText(null)).toBe(""))

it.each([1e-7, -1.5e-10, 1.25e21, 5e-324, 12.125, 0])("%d is written with all digits", (value) => {
  expect(toPlainDecimal(value)).toMatch(/^-?\d+(\.\d+)?$/)
  expect(Number(toPlainDecimal(value))).toBe(value)
})

it.each([1e-7, 5e-324, 12.125, 0])("the digits of %d are parsed back", (value) => {
  expect(parseAmount(toPlainDecimal(value), { separators: CANONICAL_SEPARATORS, unit: 1 })).toEqual({ value })
})

it("known units have names, others are numbers", () => {
  expect([1, 100_000, 10_000_000].map(unitName)).toEqual(["", "lakh", "crore"])
  expect(unitName(500)).toContain("500")
})
