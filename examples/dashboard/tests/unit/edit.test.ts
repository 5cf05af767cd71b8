import { next as A } from "@automerge/automerge/slim"
import { decodeHeads, encodeHeads, type UrlHeads } from "@automerge/automerge-repo/slim"
import { describe, expect, it } from "vitest"
import { Ledger } from "../../src/history/ledger"
import { add, describe as describePlan, type Plan, remove, restore, set } from "../../src/plan/edit"
import { isUntouched, type PlanDoc, type Position, readConflicts, readPlan, readPosition, rowsOf } from "../../src/plan/schema"

/** A document as a handle has it. */
class Copy implements Plan {
  constructor(private current: A.Doc<PlanDoc>) {}

  doc = () => this.current
  change: Plan["change"] = (callback, options) => {
    this.current = A.change(this.current, options ?? {}, callback)
  }
  changeAt: Plan["changeAt"] = (heads, callback, options) => {
    this.current = A.changeAt(this.current, decodeHeads(heads), options ?? {}, callback).newDoc
    return undefined
  }

  get heads(): UrlHeads {
    return encodeHeads(A.getHeads(this.current))
  }

  look(id: string): Position | null {
    const rows = rowsOf(this.current)
    const position = readPosition(id, rows[id])
    return position && { ...position, conflicts: readConflicts(rows, id) }
  }

  /** Somebody else's, who has the same so far. */
  other(): Copy {
    return new Copy(A.clone(this.current))
  }

  hear(other: Copy): void {
    this.current = A.merge(this.current, A.clone(other.current))
  }

  swallowed() {
    const ledger = new Ledger()
    for (const change of A.getAllChanges(this.current)) ledger.add(A.decodeChange(change))
    return ledger.swallowed().map(({ field, value, who }) => ({ field, value, who }))
  }
}

function copies() {
  const ours = new Copy(A.from<Record<string, unknown>>({ positions: {} }) as unknown as A.Doc<PlanDoc>)
  const [id = ""] = add(ours, [{ designation: "Cook", department: "Kitchen", budget: 1, location: "Pune" }], "CEO")
  return { id, ours, theirs: ours.other() }
}

describe("what is written at what somebody had before them", () => {
  it("stands beside what others have set since", () => {
    const { id, ours, theirs } = copies()
    const seen = { position: ours.look(id) as Position, heads: ours.heads }
    set(theirs, id, "budget", 5, "CFO")
    ours.hear(theirs)
    set(ours, id, "budget", 9, "CEO", seen)
    const now = ours.look(id)
    expect([now?.budget, ...(now?.conflicts?.budget?.losing.map(({ value }) => value) ?? [])].sort()).toEqual([5, 9])
  })

  it("is an edit that was swallowed if the position was deleted since", () => {
    const { id, ours, theirs } = copies()
    const seen = { position: ours.look(id) as Position, heads: ours.heads }
    remove(theirs, [id], "Cook", "CFO")
    ours.hear(theirs)
    set(ours, id, "budget", 9, "CEO", seen)
    expect(ours.look(id)).toBeNull()
    expect(ours.swallowed()).toEqual([{ field: "budget", value: 9, who: "CEO" }])
  })
})

it("a deletion that is taken back does not hide an edit that came meanwhile", () => {
  const { id, ours, theirs } = copies()
  const row = { ...(ours.look(id) as Position), budget: 1 }
  remove(ours, [id], "Cook", "CEO")
  const deleted = ours.heads
  set(theirs, id, "budget", 7, "CFO")
  ours.hear(theirs)
  restore(ours, [row], "CEO", deleted)
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
    const { totalBudget } = readPlan(ours.doc()).settings
    describePlan(ours, { totalBudget }, "CEO")
    expect(readPlan(ours.doc())).toMatchObject({ settings: { totalBudget }, conflicts: null })
  })

  it("has both values if one of them was typed before the other arrived", () => {
    const { ours, theirs } = copies()
    const seen = { ...readPlan(ours.doc()), heads: ours.heads }
    describePlan(theirs, { totalBudget: 20 }, "CFO")
    ours.hear(theirs)
    expect(describePlan(ours, { totalBudget: 10, unit: 1_000 }, "CEO", seen)).toBe(true)
    expect(conflict(ours)).toEqual([10, 20])
    expect(readPlan(ours.doc()).settings.unit).toBe(1_000)
    expect(describePlan(ours, { name: "Growth" }, "CEO", { ...readPlan(ours.doc()), heads: ours.heads })).toBe(false)
  })
})

it("a total that is emptied is gone", () => {
  const { ours } = copies()
  describePlan(ours, { totalBudget: 10 }, "CEO")
  describePlan(ours, { totalBudget: null }, "CEO")
  expect("totalBudget" in ours.doc()).toBe(false)
})
