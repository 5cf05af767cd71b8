import { describe, expect, it } from "vitest"
import { costByMonth, countActiveMonths, endsBeforeStart, isCommitted, type Measure, measure, yearCost } from "../../src/plan/cost"
import { DecimalSum } from "../../src/plan/decimal-sum"
import { groupTotals } from "../../src/plan/query"
import type { Position } from "../../src/plan/schema"
import { shownPosition } from "./support/position"

const YEAR = "2027-04"
const at = (start: string | null, end: string | null, budget: number | null = 12): Position => shownPosition({ budget, start, end })
const sum = (positions: Position[], by: Measure) => measure(positions, by, YEAR)

describe("active months", () => {
  it.each([
    [null, null, 12],
    ["2027-04", "2028-03", 12],
    ["2027-04", null, 12],
    ["2027-06", null, 10],
    ["2028-03", null, 1],
    ["2028-04", null, 0],
    [null, "2027-04", 1],
    [null, "2027-03", 0],
    ["2027-06", "2027-06", 1],
    ["2020-01", "2040-01", 12],
    ["2027-07", "2027-06", 0],
    ["2030-01", "2020-01", 0],
  ])("from %s to %s are %i of the year", (start, end, months) => {
    expect(countActiveMonths(at(start, end), YEAR)).toBe(months)
    const byMonth = costByMonth([at(start, end)], YEAR)
    expect(byMonth.filter((cost) => cost === 1)).toHaveLength(months)
    expect(sum([at(start, end)], "thisYear")).toBe(months)
  })

  it("are none if a position ends before it starts", () => {
    expect([at("2027-07", "2027-06"), at("2027-06", "2027-06"), at(null, "2027-06"), at("2027-06", null)].map(endsBeforeStart)).toEqual([
      true,
      false,
      false,
      false,
    ])
  })
})

describe("this year", () => {
  it("is exactly the budget of a position that is active all year", () => {
    for (const budget of [0.1, 1.1, 7, 1 / 3, 0.1234567, 1e-7, 12.345678901234, Number.MAX_SAFE_INTEGER, 4.35, 1e15 + 0.3])
      expect(sum([at(null, null, budget)], "thisYear")).toBe(budget)
  })

  it("is exact for fractions and many positions", () => {
    expect(sum([at(null, null, 0.1), at(null, null, 0.2)], "thisYear")).toBe(0.3)
    expect(sum(Array(12).fill(at("2028-03", null, 0.7)), "thisYear")).toBe(0.7)
    expect(sum([at("2027-12", null, 10)], "thisYear")).toBe(10 / 3)
    expect(sum(Array(3).fill(at("2028-03", null, 10)), "thisYear")).toBe(2.5)
  })

  it("leaves unknown budgets out", () => {
    expect(sum([at(null, null, null), at("2027-10", null)], "thisYear")).toBe(6)
    expect(costByMonth([at(null, null, null)], YEAR)).toEqual(Array(12).fill(0))
  })
})

describe("the run rate", () => {
  it("is the yearly cost of positions that are active in the last month", () => {
    const positions = [
      at(null, null, 1),
      at("2028-03", null, 2),
      at("2027-04", "2028-02", 4),
      at("2028-04", null, 8),
      at(null, "2028-03", 16),
    ]
    expect(sum(positions, "runRate")).toBe(19)
    expect(sum(positions, "budget")).toBe(31)
    expect(sum([at("2028-05", "2028-01", 5)], "runRate")).toBe(0)
  })
})

describe("the cost by month", () => {
  it("is stacked by group and adds up", () => {
    const positions = [
      { ...at(null, "2027-05", 24), status: "filled" },
      { ...at("2027-05", null, 12), status: "proposed" },
      { ...at("2027-06", null, 6), status: "filled" },
    ]
    const { months, groups, byMonth } = yearCost(positions, "status", YEAR)
    expect([months[0], months[11]]).toEqual(["2027-04", "2028-03"])
    expect(groups.map(({ name, total }) => [name, total])).toEqual([
      ["Proposed", 11],
      ["Filled", 9],
    ])
    expect(byMonth.slice(0, 3)).toEqual([2, 3, 1.5])
    expect(groups[1]?.byMonth.slice(0, 3)).toEqual([2, 2, 0.5])
  })

  it("orders groups by the cost of the year", () => {
    const positions = [
      { ...at("2028-03", null, 100), department: "Sales" },
      { ...at(null, null, 10), department: "HR" },
    ]
    expect(yearCost(positions, "department", YEAR).groups.map(({ name }) => name)).toEqual(["HR", "Sales"])
    expect(groupTotals(positions, "department").map(({ name }) => name)).toEqual(["Sales", "HR"])
    expect(groupTotals(positions, "department", (members) => measure(members, "thisYear", YEAR))).toMatchObject([
      { name: "HR", budget: 10 },
      { name: "Sales", budget: 100 / 12 },
    ])
  })
})

it("approved, open and filled positions are committed", () => {
  const statuses = ["proposed", "approved", "open", "filled", null]
  expect(statuses.map((status) => isCommitted({ status }))).toEqual([false, true, true, true, false])
})

it("a decimal sum is rounded once", () => {
  const sum = new DecimalSum()
  for (let count = 0; count < 10; count += 1) sum.add(0.1)
  expect(sum.value).toBe(1)
  sum.add(-1)
  expect(Object.is(sum.value, 0)).toBe(true)
  sum.add(Number.MAX_SAFE_INTEGER, 12)
  sum.add(0.5)
  expect(sum.dividedBy(12)).toBe(Number.MAX_SAFE_INTEGER)
})
