import { readFileSync } from "node:fs"
import { describe, expect, it } from "vitest"
import {
  type AmountFormat,
  amountErrorOf,
  CANONICAL_SEPARATORS,
  isBlankAmount,
  type NumberSeparators,
  parseAmount,
  separatorsOf,
} from "../../src/plan/amount"
import { CODES, SPELLINGS } from "../../src/plan/currencies"
import { formatMoney, toEditText } from "../../src/plan/format"

interface Fixture {
  marks: Record<string, NumberSeparators>
  groups: Group[]
}

interface Group {
  title: string
  currency?: string
  unit: number
  bare?: number
  cases: [text: string, is: Expected | Record<string, Expected>][]
}

/** A value, or the kind of error. */
type Expected = number | string

const fixture = (name: string): string => readFileSync(new URL(`../../../tests/fixtures/${name}`, import.meta.url), "utf8")
const amounts: Fixture = JSON.parse(fixture("amounts.json"))

/** Every case with every kind of separators. The page has no field in which a bare number has another unit. */
const cases = amounts.groups
  .filter((group) => group.bare === undefined)
  .flatMap(({ currency, unit, cases }) =>
    Object.entries(amounts.marks).flatMap(([language, marks]) =>
      cases.map(([text, is]) => {
        const scale: AmountFormat = currency === undefined ? { separators: marks, unit } : { separators: marks, currency, unit }
        return { language, text, scale, expected: typeof is === "object" ? is[language] : is }
      }),
    ),
  )

it.each(cases)("$language $scale.currency $scale.unit: $text is $expected", ({ text, scale, expected }) => {
  const amount = parseAmount(text, scale)
  expect("value" in amount ? amount.value : amountErrorOf(text, scale)).toBe(expected)
  expect(isBlankAmount(text)).toBe(expected === "empty")
})

it.each(Object.entries(amounts.marks))("the separators of %s match the fixture", (language, marks) =>
  expect(separatorsOf(language)).toEqual(marks),
)

it("the currencies match those of the server", () => {
  const { codes, spellings } = JSON.parse(fixture("currencies.json"))
  expect([...CODES]).toEqual(codes)
  expect(Object.fromEntries(SPELLINGS)).toEqual(spellings)
})

describe("error messages", () => {
  const lakh: AmountFormat = { separators: CANONICAL_SEPARATORS, currency: "INR", unit: 100_000 }
  it.each([
    ["", "The budget is empty."],
    ["lots", "“lots” is not an amount. Enter a number, such as 12 or 8 lakh."],
    ["12,34,5", "“12,34,5” is ambiguous. Enter the number without group separators."],
    ["(5)", "A budget cannot be negative."],
    ["USD 30", "“USD 30” is in USD, but this plan is in INR."],
    ["$30", "“$30” is in $, but this plan is in INR."],
    ["50k", "“k” is ambiguous. Write the unit in full: thousand, lakh, million, crore or billion."],
    ["Jan 2024", "“Jan 2024” is not an amount: “Jan” is neither a unit nor a currency."],
  ])("%j is explained", (text, problem) => expect(parseAmount(text, lakh)).toEqual({ problem }))

  it("truncate long texts", () => {
    const amount = parseAmount("x".repeat(1_000), lakh)
    expect("problem" in amount && amount.problem.length).toBeLessThan(120)
  })
})

const LANGUAGES = [
  "en",
  "en-IN",
  "de",
  "fr",
  "es",
  "it",
  "pt-BR",
  "pt-PT",
  "id",
  "tr",
  "sv",
  "pl",
  "de-CH",
  "de-AT",
  "ar-EG",
  "fa",
  "bn",
  "mr",
  "ja",
  "he",
]

describe("round trips", () => {
  const budgets = [0, 12.5, 12.125, 12_125, 1_234.567, 1e-7, 0.1 + 0.2, 1_234_567.89, Number.MAX_SAFE_INTEGER]

  it.each(LANGUAGES)("a typed amount is parsed back in %s", (language) => {
    const marks = separatorsOf(language)
    for (const budget of budgets) expect(parseAmount(toEditText(budget, marks), { separators: marks, unit: 1 })).toEqual({ value: budget })
  })

  it.each(LANGUAGES)("a formatted number is parsed back in %s", (language) => {
    const marks = separatorsOf(language)
    const format = new Intl.NumberFormat(language, { maximumFractionDigits: 6 })
    for (const budget of [0, 0.5, 12, 999, 1_000, 12_345, 123_456, 1_234_567, 12.125, 1_234.5, 1_234.567, 98_765_432.125])
      expect(parseAmount(format.format(budget), { separators: marks, unit: 1 }), format.format(budget)).toEqual({ value: budget })
  })

  it.each(LANGUAGES)("a formatted sum of money is parsed back in %s", (language) => {
    const marks = separatorsOf(language)
    for (const currency of ["INR", "USD", "EUR", "GBP", "JPY", "CHF", "AUD", "CAD", "SGD"])
      for (const currencyDisplay of ["narrowSymbol", "code"] as const) {
        const format = new Intl.NumberFormat(language, { style: "currency", currency, currencyDisplay, maximumFractionDigits: 2 })
        for (const budget of [0, 5, 1_234, 1_234_567]) {
          const text = format.format(budget)
          expect(parseAmount(text, { separators: marks, currency, unit: 1 }), text).toEqual({ value: budget })
        }
      }
  })

  it.each([1, 1_000, 100_000, 1_000_000, 10_000_000])("formatted amounts in units of %d are parsed back", (unit) => {
    const marks = separatorsOf()
    for (const budget of [0, 12, 12.5, 1_250, 1_234_567.25])
      expect(parseAmount(formatMoney(budget, "INR", unit), { separators: marks, currency: "INR", unit })).toEqual({ value: budget })
  })
})
