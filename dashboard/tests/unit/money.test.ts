import { expect, it } from "vitest"
import { POINT, readAmount } from "../../src/plan/amount"
import { digits, typed, unitName } from "../../src/plan/money"

it("what is not there is shown for typing as nothing", () => expect(typed(null)).toBe(""))

it.each([1e-7, -1.5e-10, 1.25e21, 5e-324, 12.125, 0])("%d is written with all of its digits", (value) => {
  expect(digits(value)).toMatch(/^-?\d+(\.\d+)?$/)
  expect(Number(digits(value))).toBe(value)
})

it.each([1e-7, 5e-324, 12.125, 0])("the digits of %d are read back", (value) => {
  expect(readAmount(digits(value), { marks: POINT, unit: 1 })).toEqual({ value })
})

it("units have names, and others are numbers", () => {
  expect([1, 100_000, 10_000_000].map(unitName)).toEqual(["", "lakh", "crore"])
  expect(unitName(500)).toContain("500")
})
