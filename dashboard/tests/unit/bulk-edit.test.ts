import { describe, expect, it } from "vitest"
import { bulkEdit, sumAfter } from "../../src/grid/bulk-edit"
import { parseMonthShift } from "../../src/plan/month-shift"
import { EXACT_STEP, parseRaise, type Raise, raised } from "../../src/plan/raise"
import { shownPosition } from "./support/position"

const SETTINGS = { name: "", currency: "INR", unit: 100_000, totalBudget: null, yearStart: null }
const percent = (size: number, step = 0.01): Raise => ({ by: "percent", size, step })
const amount = (size: number, step = 0.01): Raise => ({ by: "amount", size, step })

it.each([
  [40, percent(10), 44],
  [1.1, percent(10), 1.21],
  // Halves are rounded up.
  [0.05, percent(10), 0.06],
  [12.345, percent(0), 12.35],
  [1.005, percent(0), 1.01],
  [8, percent(7.5, 1), 9],
  [8, percent(-12.5, 1), 7],
  [13, percent(4, 5), 15],
  [12.4, percent(0, 5), 10],
  [0.1, amount(0.2), 0.3],
  [10, amount(-2.5), 7.5],
  [2, amount(-2.5, 1), 0],
  [2, amount(-3), -1],
  [1 / 3, percent(0, EXACT_STEP), 0.333333],
  [9_007_199_254_740_991, percent(0), 9_007_199_254_740_991],
  [1e-7, amount(1, EXACT_STEP), 1],
])("%d raised by %o is %d", (budget, raise, expected) => {
  expect(raised(budget, raise)).toBe(expected)
})

describe("a typed raise", () => {
  it.each([
    ["5", "percent", 5],
    [" +7.5 % ", "percent", 7.5],
    ["−3%", "percent", -3],
    ["0", "percent", 0],
    ["2 lakh", "amount", 2],
    ["-1 crore", "amount", -100],
  ] as const)("%j by %s is %s", (text, by, expected) => {
    expect(parseRaise(text, by, SETTINGS)).toEqual({ value: expected })
  })

  it.each([
    ["", "percent"],
    ["5 lakh", "percent"],
    ["five", "percent"],
    ["--5", "percent"],
    ["5 %", "amount"],
    ["$5", "amount"],
  ] as const)("%j by %s is rejected", (text, by) => {
    expect(parseRaise(text, by, SETTINGS)).toHaveProperty("problem")
  })
})

const LIST = [
  shownPosition({ id: "a", designation: "Cook", budget: 10 }),
  shownPosition({ id: "b", designation: "Waiter", budget: null }),
  shownPosition({ id: "c", designation: "Chef", budget: null, mistyped: { budget: "ten" } }),
  shownPosition({ id: "d", designation: "Host", budget: 3, conflicts: { budget: { winner: "1@a", losing: [] } } }),
  shownPosition({ id: "e", designation: "5", budget: null, invalidEntry: "5" }),
  shownPosition({ id: "f", designation: "Clerk", budget: 1 }),
]

it("a raise changes known budgets and names the others", () => {
  const changes = bulkEdit(LIST, { kind: "raise", field: "budget", raise: percent(5) })
  expect(changes.cells).toEqual([
    { id: "a", field: "budget", value: 10.5 },
    { id: "f", field: "budget", value: 1.05 },
  ])
  expect(changes.refusals.map(({ cell }) => cell)).toEqual(["Budget of “Waiter”", "Budget of “Chef”", "Budget of “Host”", "Budget of “5”"])
  expect(sumAfter(LIST, changes)).toBe(14.55)
})

it("a cut below zero is refused", () => {
  const changes = bulkEdit(LIST, { kind: "raise", field: "budget", raise: amount(-2) })
  expect(changes.cells).toEqual([{ id: "a", field: "budget", value: 8 }])
  expect(changes.refusals.at(-1)).toEqual({ cell: "Budget of “Clerk”", reason: "A budget cannot be negative." })
})

it("a value is set where it differs", () => {
  const changes = bulkEdit(LIST, { kind: "set", field: "budget", value: 10 })
  expect(changes.cells.map(({ id }) => id)).toEqual(["b", "c", "d", "f"])
  expect(bulkEdit(LIST, { kind: "set", field: "designation", value: "" }).cells).toEqual([])
})

it("months are shifted together, or not at all", () => {
  const list = [
    shownPosition({ id: "a", designation: "Cook", start: "2027-11", end: "2028-03" }),
    shownPosition({ id: "b", designation: "Chef", start: "2027-01", mistyped: { end: "June" } }),
    shownPosition({ id: "c", designation: "Host" }),
    shownPosition({ id: "d", designation: "Clerk", start: "1900-01" }),
  ]
  const changes = bulkEdit(list, { kind: "shift", months: -2 })
  expect(changes.cells).toEqual([
    { id: "a", field: "start", value: "2027-09" },
    { id: "a", field: "end", value: "2028-01" },
  ])
  expect(changes.refusals).toEqual([
    { cell: "End of “Chef”", reason: "“June” is not a month." },
    { cell: "Start of “Host”", reason: "The position has no start and no end." },
    { cell: "Start of “Clerk”", reason: "There is no such month." },
  ])
})

it.each([
  ["3", 3],
  ["-2 months", -2],
  ["−1", -1],
  ["+1 month", 1],
  ["0", 0],
])("%j shifts by %d months", (text, value) => {
  expect(parseMonthShift(text)).toEqual({ value })
})

it.each(["", "two", "1.5", "--1", "2000"])("%j is no number of months", (text) => {
  expect(parseMonthShift(text)).toHaveProperty("problem")
})
