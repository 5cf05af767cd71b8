import { describe, expect, it } from "vitest"
import { add, describe as describePlan, remove, restore, set, settleSetting } from "../../src/plan/edit"
import { isUntouched, type Position, readPlan } from "../../src/plan/schema"
import { type Copy, copies } from "./support/copy"

describe("what is written at what somebody had before them", () => {
  it("stands beside what others have set since", () => {
    const { id, ours, theirs } = copies()
    const seen = { position: ours.look(id) as Position, heads: ours.heads() }
    set(theirs, id, "budget", 5, "CFO")
    ours.hear(theirs)
    set(ours, id, "budget", 9, "CEO", seen)
    const now = ours.look(id)
    expect([now?.budget, ...(now?.conflicts?.budget?.losing.map(({ value }) => value) ?? [])].sort()).toEqual([5, 9])
  })

  it("is an edit that was swallowed if the position was deleted since", () => {
    const { id, ours, theirs } = copies()
    const seen = { position: ours.look(id) as Position, heads: ours.heads() }
    remove(theirs, [id], "Cook", "CFO")
    ours.hear(theirs)
    set(ours, id, "budget", 9, "CEO", seen)
    expect(ours.look(id)).toBeNull()
    expect(ours.swallowed()).toEqual([{ field: "budget", value: 9, who: "CEO" }])
  })
})

it("a deletion that is taken back does not hide an edit that came meanwhile", () => {
  const { id, ours, theirs } = copies()
  const heads = ours.heads()
  remove(ours, [id], "Cook", "CEO")
  const deleted = ours.heads()
  set(theirs, id, "budget", 7, "CFO")
  ours.hear(theirs)
  restore(ours, [{ id, heads }], "CEO", deleted)
  expect(ours.look(id)?.budget).toBe(1)
  expect(ours.swallowed()).toEqual([{ field: "budget", value: 7, who: "CFO" }])
})

it("a position is untouched until somebody sets a field of it, also at the same time as somebody else", () => {
  const { id, ours, theirs } = copies()
  set(ours, id, "budget", 5, "CEO")
  const before = ours.look(id) as Position
  expect(isUntouched(before, ours.look(id) as Position)).toBe(true)
  set(theirs, id, "budget", 5, "CFO")
  set(theirs, id, "budget", 6, "CFO")
  ours.hear(theirs)
  expect(isUntouched(before, ours.look(id) as Position)).toBe(false)
})

describe("a setting that two people change at once", () => {
  const conflict = (copy: Copy) => {
    const { settings, conflicts } = readPlan(copy.doc())
    return [settings.totalBudget, ...(conflicts?.totalBudget?.losing.map(({ value }) => value) ?? [])].sort()
  }

  it("has both values, until somebody settles it, also for the one that is shown", () => {
    const { ours, theirs } = copies()
    describePlan(ours, { totalBudget: 10, name: "Growth" }, "CEO")
    describePlan(theirs, { totalBudget: 20, name: "Growth" }, "CFO")
    ours.hear(theirs)
    expect(conflict(ours)).toEqual([10, 20])
    expect(Object.keys(readPlan(ours.doc()).conflicts ?? {}), "the same name is no conflict").toEqual(["totalBudget"])
    const { settings, conflicts } = readPlan(ours.doc())
    settleSetting(ours, "totalBudget", conflicts?.totalBudget?.winner ?? "", "CEO")
    expect(readPlan(ours.doc())).toMatchObject({ settings, conflicts: null })
  })

  it("has both values if one of them was typed before the other arrived", () => {
    const { ours, theirs } = copies()
    const seen = { ...readPlan(ours.doc()), heads: ours.heads() }
    describePlan(theirs, { totalBudget: 20 }, "CFO")
    ours.hear(theirs)
    expect(describePlan(ours, { totalBudget: 10, unit: 1_000 }, "CEO", seen)).toBe(true)
    expect(conflict(ours)).toEqual([10, 20])
    expect(readPlan(ours.doc()).settings.unit).toBe(1_000)
    expect(describePlan(ours, { name: "Growth" }, "CEO", { ...readPlan(ours.doc()), heads: ours.heads() })).toBe(false)
  })
})

it("a total that is emptied is gone", () => {
  const { ours } = copies()
  describePlan(ours, { totalBudget: 10 }, "CEO")
  describePlan(ours, { totalBudget: null }, "CEO")
  expect("totalBudget" in ours.doc()).toBe(false)
})

it("a setting of another type can be kept", () => {
  const { ours, theirs } = copies()
  ours.write((doc) => {
    doc.totalBudget = "lots"
  })
  describePlan(theirs, { totalBudget: 20 }, "CFO")
  ours.hear(theirs)
  const { conflicts, settings } = readPlan(ours.doc())
  const values = conflicts?.totalBudget
  const operation = settings.totalBudget === null ? values?.winner : values?.losing[0]?.operation
  settleSetting(ours, "totalBudget", operation ?? "", "CEO")
  expect(String((ours.doc() as unknown as Record<string, unknown>).totalBudget)).toBe("lots")
})

describe("an unknown budget", () => {
  it("is stored as no key", () => {
    const { ours } = copies()
    const [id = ""] = add(ours, [{ designation: "Waiter", department: "", budget: null, location: "" }], "CEO")
    expect(ours.look(id)).toMatchObject({ designation: "Waiter", budget: null })
    expect(Object.keys(ours.row(id))).not.toContain("budget")
  })

  it("follows a cleared cell and loses against a value", () => {
    const { id, ours, theirs } = copies()
    set(ours, id, "budget", null, "CEO")
    expect(Object.keys(ours.row(id))).not.toContain("budget")
    set(theirs, id, "budget", 7, "CFO")
    ours.hear(theirs)
    expect(ours.values(id, "budget")).toEqual([7])
  })
})
