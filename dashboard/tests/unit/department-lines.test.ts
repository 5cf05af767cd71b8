import { expect, it } from "vitest"
import { type DepartmentBudget, departmentUses } from "../../src/plan/department-budgets"
import { restoreLines, toLines } from "../../src/ui/department-lines"

const budget = (name: string, amount: number): DepartmentBudget => ({ name, amount, mistyped: null, conflict: null })
const lines = toLines(departmentUses([], [budget("Engineering", 10), budget("Sales", 20)]))

it("a line shows what was typed, and the others their budgets", () => {
  const restored = restoreLines(lines, [["Sales", "25"]])
  expect(restored.lines).toEqual(lines)
  expect([...restored.texts]).toEqual([
    ["Engineering", "10"],
    ["Sales", "25"],
  ])
})

it("what was typed for a department that has gone has a line", () => {
  const restored = restoreLines(lines, [
    ["Legal", "7"],
    ["Design", ""],
  ])
  expect(restored.lines.map(({ name, initial }) => [name, initial])).toEqual([
    ["Engineering", "10"],
    ["Sales", "20"],
    ["Legal", ""],
  ])
  expect(restored.lines.at(-1)?.use).toMatchObject({ used: 0, count: 0 })
  expect(restored.texts.get("Legal")).toBe("7")
})

it("what was typed for another spelling goes to the line of the department", () => {
  const restored = restoreLines(lines, [["engineering", "12"]])
  expect(restored.lines).toHaveLength(2)
  expect(restored.texts.get("Engineering")).toBe("12")
})
