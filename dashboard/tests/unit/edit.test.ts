import { describe, expect, it } from "vitest"
import {
  addPositions,
  deletePositions,
  updateSettings as describePlan,
  resolveSettingConflict,
  restorePositions,
  setField,
} from "../../src/plan/edit"
import { isUnchanged, type Position, readSettingsState } from "../../src/plan/schema"
import { type Copy, createCopies } from "./support/copy"
import { newPosition } from "./support/position"

describe("an edit at earlier heads", () => {
  it("conflicts with later edits of others", () => {
    const { id, ours, theirs } = createCopies()
    const seen = { position: ours.readPosition(id) as Position, heads: ours.heads() }
    setField(theirs, id, "budget", 5, "CFO")
    ours.merge(theirs)
    setField(ours, id, "budget", 9, "CEO", seen)
    const now = ours.readPosition(id)
    expect([now?.budget, ...(now?.conflicts?.budget?.losing.map(({ value }) => value) ?? [])].sort()).toEqual([5, 9])
  })

  it("is discarded if the position was deleted since", () => {
    const { id, ours, theirs } = createCopies()
    const seen = { position: ours.readPosition(id) as Position, heads: ours.heads() }
    deletePositions(theirs, [id], "Cook", "CFO")
    ours.merge(theirs)
    setField(ours, id, "budget", 9, "CEO", seen)
    expect(ours.readPosition(id)).toBeNull()
    expect(ours.discardedEdits()).toEqual([{ field: "budget", value: 9, author: "CEO" }])
  })
})

it("undoing a deletion does not hide concurrent edits", () => {
  const { id, ours, theirs } = createCopies()
  const heads = ours.heads()
  deletePositions(ours, [id], "Cook", "CEO")
  const deleted = ours.heads()
  setField(theirs, id, "budget", 7, "CFO")
  ours.merge(theirs)
  restorePositions(ours, [{ id, heads }], "CEO", deleted)
  expect(ours.readPosition(id)?.budget).toBe(1)
  expect(ours.discardedEdits()).toEqual([{ field: "budget", value: 7, author: "CFO" }])
})

it("a position is unchanged until a field is set", () => {
  const { id, ours, theirs } = createCopies()
  setField(ours, id, "budget", 5, "CEO")
  const before = ours.readPosition(id) as Position
  expect(isUnchanged(before, ours.readPosition(id) as Position)).toBe(true)
  setField(theirs, id, "budget", 5, "CFO")
  setField(theirs, id, "budget", 6, "CFO")
  ours.merge(theirs)
  expect(isUnchanged(before, ours.readPosition(id) as Position)).toBe(false)
})

describe("concurrent changes of a setting", () => {
  const conflict = (copy: Copy) => {
    const { settings, conflicts } = readSettingsState(copy.doc())
    return [settings.totalBudget, ...(conflicts?.totalBudget?.losing.map(({ value }) => value) ?? [])].sort()
  }

  it("keep both values until one is chosen", () => {
    const { ours, theirs } = createCopies()
    describePlan(ours, { totalBudget: 10, name: "Growth" }, "CEO")
    describePlan(theirs, { totalBudget: 20, name: "Growth" }, "CFO")
    ours.merge(theirs)
    expect(conflict(ours)).toEqual([10, 20])
    expect(Object.keys(readSettingsState(ours.doc()).conflicts ?? {}), "the same name is no conflict").toEqual(["totalBudget"])
    const { settings, conflicts } = readSettingsState(ours.doc())
    resolveSettingConflict(ours, "totalBudget", conflicts?.totalBudget?.winner ?? "", "CEO")
    expect(readSettingsState(ours.doc())).toMatchObject({ settings, conflicts: null })
  })

  it("conflict when the dialog was opened before", () => {
    const { ours, theirs } = createCopies()
    const seen = { ...readSettingsState(ours.doc()), heads: ours.heads() }
    describePlan(theirs, { totalBudget: 20 }, "CFO")
    ours.merge(theirs)
    expect(describePlan(ours, { totalBudget: 10, unit: 1_000 }, "CEO", seen)).toBe(true)
    expect(conflict(ours)).toEqual([10, 20])
    expect(readSettingsState(ours.doc()).settings.unit).toBe(1_000)
    expect(describePlan(ours, { name: "Growth" }, "CEO", { ...readSettingsState(ours.doc()), heads: ours.heads() })).toBe(false)
  })
})

it("clearing the total removes its key", () => {
  const { ours } = createCopies()
  describePlan(ours, { totalBudget: 10 }, "CEO")
  describePlan(ours, { totalBudget: null }, "CEO")
  expect("totalBudget" in ours.doc()).toBe(false)
})

it("a setting of another type can be kept", () => {
  const { ours, theirs } = createCopies()
  ours.write((doc) => {
    doc.totalBudget = "lots"
  })
  describePlan(theirs, { totalBudget: 20 }, "CFO")
  ours.merge(theirs)
  const { conflicts, settings } = readSettingsState(ours.doc())
  const values = conflicts?.totalBudget
  const operation = settings.totalBudget === null ? values?.winner : values?.losing[0]?.operation
  resolveSettingConflict(ours, "totalBudget", operation ?? "", "CEO")
  expect(String((ours.doc() as unknown as Record<string, unknown>).totalBudget)).toBe("lots")
})

describe("an unknown budget", () => {
  it("is stored without a key", () => {
    const { ours } = createCopies()
    const [id = ""] = addPositions(ours, [newPosition({ designation: "Waiter" })], "CEO")
    expect(ours.readPosition(id)).toMatchObject({ designation: "Waiter", budget: null })
    expect(Object.keys(ours.row(id))).not.toContain("budget")
  })

  it("replaces a cleared value and loses to a new one", () => {
    const { id, ours, theirs } = createCopies()
    setField(ours, id, "budget", null, "CEO")
    expect(Object.keys(ours.row(id))).not.toContain("budget")
    setField(theirs, id, "budget", 7, "CFO")
    ours.merge(theirs)
    expect(ours.values(id, "budget")).toEqual([7])
  })
})
