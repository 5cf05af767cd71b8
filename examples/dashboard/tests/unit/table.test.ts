import { expect, it } from "vitest"
import type { Position } from "../../src/plan/schema"
import { totals } from "../../src/plan/table"

const position = (department: string, budget: number): Position => ({
  id: `${department}${budget}`,
  designation: "",
  department,
  budget,
  location: "",
  createdAt: null,
  updatedAt: null,
  updatedBy: "",
  conflicts: null,
})

it("a department may be called None, and those without one are another group", () => {
  expect(totals([position("None", 3), position("", 2), position("", 5), position("None", 1)], "department")).toEqual([
    { name: "", budget: 7, count: 2 },
    { name: "None", budget: 4, count: 2 },
  ])
})
