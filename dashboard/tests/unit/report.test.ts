import { expect, it } from "vitest"
import { NO_FILTER } from "../../src/plan/query"
import { countConflicts, describeFilter, groupShares, printedFields } from "../../src/plan/report"
import { shownPosition } from "./support/position"

const conflict = { winner: "1@a", losing: [{ operation: "1@b", value: 2 }] }

it("shares of groups add up, and are 0 without budgets", () => {
  const positions = [
    shownPosition({ department: "Sales", budget: 30 }),
    shownPosition({ department: "sales ", budget: null }),
    shownPosition({ department: "HR", budget: 10 }),
  ]
  expect(groupShares(positions, "department").map(({ name, count, share }) => [name, count, share])).toEqual([
    ["Sales", 2, 0.75],
    ["HR", 1, 0.25],
  ])
  expect(groupShares([shownPosition({ budget: 0 }), shownPosition({})], "department").map(({ share }) => share)).toEqual([0])
})

it("conflicts of cells and settings are counted", () => {
  const positions = [shownPosition({ conflicts: { budget: conflict, location: conflict } }), shownPosition({})]
  expect(countConflicts(positions, null)).toBe(2)
  expect(countConflicts(positions, { name: conflict })).toBe(3)
})

it("a filter is described by the names of its groups", () => {
  const positions = [shownPosition({ department: "Human  Resources", status: "approved" })]
  expect(describeFilter(NO_FILTER, positions)).toEqual([])
  const filter = { search: " cook ", groups: { department: "human resources", status: "approved", location: "gone" } }
  expect(describeFilter(filter, positions).toSorted()).toEqual([
    "Department: Human  Resources",
    "Location: gone",
    "Search: “cook”",
    "Status: Approved",
  ])
})

it("optional columns are printed if a position has a value", () => {
  const empty = shownPosition({})
  expect(printedFields([empty])).toEqual(["designation", "department", "budget", "location"])
  expect(printedFields([empty, shownPosition({ start: "2027-06" })])).toContain("start")
  expect(printedFields([shownPosition({ mistyped: { status: "frozen" } })])).toContain("status")
  expect(printedFields([shownPosition({ conflicts: { end: conflict } })])).toContain("end")
})
