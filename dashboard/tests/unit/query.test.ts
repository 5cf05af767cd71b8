import { readFileSync } from "node:fs"
import { expect, it } from "vitest"
import { formatAmount, formatSum } from "../../src/plan/format"
import {
  describeUnknownBudgets,
  distinctGroups,
  filterPositions,
  type Group,
  groupTotals,
  roundSum,
  sumBudgets,
} from "../../src/plan/query"
import type { Position } from "../../src/plan/schema"
import { shownPosition } from "./support/position"

const position = (department: string, budget: number): Position =>
  shownPosition({ id: `${department}${budget}`, designation: "Cook", department, budget })

it("a department named None differs from no department", () => {
  expect(groupTotals([position("None", 3), position("", 2), position("", 5), position("None", 1)], "department")).toEqual([
    { key: "", name: "", budget: 7, count: 2 },
    { key: "none", name: "None", budget: 4, count: 2 },
  ])
})

it("sums have no binary rounding errors", () => {
  const positions = [position("Kitchen", 1.1), position("Kitchen", 2.2)]
  expect(sumBudgets(positions)).toBe(3.3)
  expect(groupTotals(positions, "department")).toEqual([{ key: "kitchen", name: "Kitchen", budget: 3.3, count: 2 }])
  expect(roundSum(0.3 - (0.1 + 0.2))).toBe(0)
  expect(sumBudgets([position("", Number.MAX_SAFE_INTEGER)])).toBe(Number.MAX_SAFE_INTEGER)
})

it("budgets are exact, sums are rounded", () => {
  expect(formatAmount(0.125)).not.toBe(formatAmount(0.126))
  expect(formatSum(0.125)).toBe(formatSum(0.1251))
})

it("unknown budgets are counted separately", () => {
  const unknown = { ...position("", 0), budget: null }
  expect(sumBudgets([position("", 3), unknown])).toBe(3)
  expect([[position("", 0)], [unknown], [unknown, unknown]].map(describeUnknownBudgets)).toEqual([
    "",
    "1 budget unknown",
    "2 budgets unknown",
  ])
})

it.each([
  ["Kitchen", "Kitchen ", " kitchen"],
  ["R&D Labs", "R&D  labs", "R&D\u00a0Labs"],
  ["Sales", "Sa\u00adles", "\u200bsales\ufeff"],
  ["ＨＲ", "HR", "hr"],
])("%j and similar spellings are one department", (...names) => {
  const positions = names.map((name, at) => position(name, at + 1))
  expect(groupTotals(positions, "department")).toMatchObject([{ budget: 6, count: 3 }])
  expect(distinctGroups(positions, "department")).toHaveLength(1)
  const { key } = distinctGroups(positions, "department")[0] as Group
  expect(filterPositions(positions, { search: "", groups: { department: key } })).toEqual(positions)
})

it("groups are named as on the server, in any order of the list", () => {
  const { groups } = JSON.parse(readFileSync(`${import.meta.dirname}/../../../tests/fixtures/texts.json`, "utf8")) as {
    groups: { spellings: string[]; name: string }[]
  }
  for (const { spellings, name } of groups) {
    for (const list of [spellings, [...spellings].reverse()]) {
      const positions = list.map((spelling, at) => position(spelling, at))
      expect(distinctGroups(positions, "department").map((group) => group.name)).toEqual([name])
    }
  }
})

it("a group is named by its most frequent spelling", () => {
  const names = (...departments: string[]) =>
    distinctGroups(
      departments.map((name) => position(name, 1)),
      "department",
    ).map(({ name }) => name)
  expect(names("kitchen", "Kitchen", " Kitchen ")).toEqual(["Kitchen"])
  expect(names("Kitchen", "kitchen")).toEqual(["Kitchen"])
  expect(names("Bogotá", "Bogota", " ", "")).toEqual(["Bogotá", "Bogota"])
})
