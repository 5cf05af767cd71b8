import { expect, test } from "vitest"
import {
  type ComparedField,
  type ComparedPosition,
  type Comparison,
  describeCounts,
  differingSums,
  isEmptyMerge,
  labelOf,
  shownFields,
  showValue,
  splitBySide,
  summarizeMerge,
  totalOf,
} from "../../src/plan/comparison"

const field = (key: string, part: Partial<ComparedField> = {}): ComparedField => ({
  ...{ field: key, base: null, plan: null, scenario: null },
  ...{ changedByPlan: false, changedByScenario: true, conflict: false },
  ...part,
})
const position = (id: string, part: Partial<ComparedPosition> = {}): ComparedPosition => ({
  ...{ id, designation: id, plan: null, scenario: "changed", conflict: false, loss: false, fields: [] },
  ...part,
})
const sum = (department: string, base: number, plan: number, scenario: number) => ({
  ...{ department, base, plan, scenario },
  difference: scenario - base,
})
const comparison = (part: Partial<Comparison>): Comparison => ({ base: [], settings: [], positions: [], sums: [], ...part })

const MIXED = comparison({
  settings: [field("totalBudget"), field("unit", { changedByPlan: true, changedByScenario: false })],
  positions: [
    position("designer", { scenario: "added" }),
    position("analyst", { conflict: true, plan: "changed" }),
    position("buyer", { scenario: "deleted", plan: "changed", loss: true }),
    position("clerk", { scenario: null, plan: "changed" }),
  ],
})

test("positions are split by who changed them, and sorted by name", () => {
  const { ofScenario, ofPlan } = splitBySide(MIXED)
  expect(ofScenario.map(({ id }) => id)).toEqual(["analyst", "buyer", "designer"])
  expect(ofPlan.map(({ id }) => id)).toEqual(["clerk"])
})

test("a whole merge brings settings, and names conflicts and losses", () => {
  const summary = summarizeMerge(MIXED, null)
  expect(summary).toMatchObject({ added: 1, changed: 1, deleted: 1 })
  expect(summary.settings.map(({ field }) => field)).toEqual(["totalBudget"])
  expect(summary.conflicts.map(({ id }) => id)).toEqual(["analyst"])
  expect(summary.losses.map(({ id }) => id)).toEqual(["buyer"])
  expect(describeCounts(summary)).toBe("1 position added, 1 changed, 1 deleted, 1 setting changed")
})

test("a merge of some positions brings neither the others nor settings", () => {
  const summary = summarizeMerge(MIXED, new Set(["designer", "clerk"]))
  expect(summary).toMatchObject({ added: 1, changed: 0, deleted: 0, settings: [], conflicts: [], losses: [] })
  expect(describeCounts(summary)).toBe("1 position added")
})

test("changes of the plan alone leave nothing to merge", () => {
  const onlyPlan = comparison({ positions: [position("clerk", { scenario: null, plan: "changed" })], settings: [] })
  expect(isEmptyMerge(summarizeMerge(onlyPlan, null))).toBe(true)
  expect(isEmptyMerge(summarizeMerge(MIXED, null))).toBe(false)
})

test("sums are exact, and departments without a difference left out", () => {
  const sums = [sum("A", 0.1, 0.1, 0.1), sum("B", 0.2, 0.2, 0.5), sum("", 1, 2, 1)]
  expect(totalOf(sums)).toEqual({ base: 1.3, plan: 2.3, scenario: 1.6, difference: 0.3 })
  expect(differingSums(sums).map(({ department }) => department)).toEqual(["B", ""])
})

test("values are shown as cells show them, and bookkeeping is not", () => {
  expect(showValue("budget", null)).toBe("—")
  expect(showValue("department", null)).toBe("(empty)")
  expect(showValue("status", "open")).toBe("Open")
  expect(showValue("skills", ["Rust", 2])).toBe('["Rust",2]')
  expect(showValue("note", { text: "x".repeat(900) }).length).toBeLessThan(250)
  expect([labelOf("budget"), labelOf("totalBudget"), labelOf("skills")]).toEqual(["Budget", "Total budget", "skills"])
  const changed = position("a", { fields: [field("updatedAt"), field("skills"), field("budget"), field("department")] })
  expect(shownFields(changed).map(({ field }) => field)).toEqual(["department", "budget", "skills"])
})
