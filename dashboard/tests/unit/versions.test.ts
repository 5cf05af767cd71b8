/** Named versions of a plan, and comparisons with earlier states. */
import { next as A } from "@automerge/automerge/slim"
import { encodeHeads } from "@automerge/automerge-repo/slim"
import { describe, expect, it } from "vitest"
import { authorOfState, type PastChange, stateAtTime } from "../../src/history/past-states"
import { setArchived } from "../../src/plan/archive"
import { addComment } from "../../src/plan/comments"
import { type ComparedField, differInScale, labelOf, showValue } from "../../src/plan/comparison"
import { setDepartmentBudgets } from "../../src/plan/department-budgets"
import { addPositions, deletePositions, setField, updateSettings } from "../../src/plan/edit"
import { addSavedView } from "../../src/plan/saved-views"
import { compareWithVersion } from "../../src/plan/version-comparison"
import { addVersion, deleteVersion, readVersions, renameVersion } from "../../src/plan/versions"
import { type Copy, createCopies } from "./support/copy"
import { newPosition } from "./support/position"

const headsOf = (copy: Copy) => A.getHeads(copy.doc())
const YEAR = "2027-04"

describe("a named version", () => {
  it("keeps the heads under a name that can be changed", () => {
    const { ours } = createCopies()
    const heads = headsOf(ours)
    const id = addVersion(ours, "Board", heads, "CFO")
    expect(readVersions(ours.doc())).toMatchObject([{ id, name: "Board", heads, by: "CFO", conflict: null }])
    expect(renameVersion(ours, id, "Board, May", "CEO", ours.heads())).toBe(false)
    expect(readVersions(ours.doc())).toMatchObject([{ name: "Board, May", heads, by: "CEO" }])
    deleteVersion(ours, id, "Board, May", "CEO")
    expect(readVersions(ours.doc())).toEqual([])
  })

  it("is kept when two people name one offline", () => {
    const { ours, theirs } = createCopies()
    addVersion(ours, "Board", headsOf(ours), "CFO")
    addVersion(theirs, "Audit", headsOf(theirs), "CEO")
    ours.merge(theirs)
    theirs.merge(ours)
    for (const copy of [ours, theirs])
      expect(
        readVersions(copy.doc())
          .map(({ name }) => name)
          .sort(),
      ).toEqual(["Audit", "Board"])
  })

  it("shows both names of a concurrent renaming", () => {
    const { ours, theirs } = createCopies()
    const id = addVersion(ours, "Board", headsOf(ours), "CFO")
    theirs.merge(ours)
    renameVersion(ours, id, "Board 1", "CFO", ours.heads())
    renameVersion(theirs, id, "Board 2", "CEO", theirs.heads())
    ours.merge(theirs)
    const [version] = readVersions(ours.doc())
    expect([version?.name, version?.conflict?.losing[0]?.value].sort()).toEqual(["Board 1", "Board 2"])
  })

  it("needs heads, and other entries are left out", () => {
    const { ours } = createCopies()
    ours.write((doc) => {
      doc.versions = { a: "text", b: { name: "No heads" }, c: { name: "Wrong heads", heads: "abc" }, d: { heads: "ab".repeat(32) } }
    })
    expect(readVersions(ours.doc()).map(({ id, name }) => [id, name])).toEqual([["d", ""]])
  })
})

const change = (hash: string, deps: string[], time: number | null, author = "CFO"): PastChange => ({ hash, deps, time, author })

describe("stateAtTime", () => {
  it("has the changes that claim to be earlier, of all branches", () => {
    const changes = [change("a", [], 10), change("b", ["a"], 20), change("c", ["a"], 30, "CEO"), change("d", ["b", "c"], 40)]
    expect(stateAtTime(changes, 9)).toEqual({ heads: [], last: null, first: 10 })
    expect(stateAtTime(changes, 20)).toEqual({ heads: ["b"], last: { author: "CFO", time: 20 }, first: 10 })
    expect(stateAtTime(changes, 35)).toEqual({ heads: ["b", "c"], last: { author: "CEO", time: 30 }, first: 10 })
    expect(stateAtTime(changes, 40).heads).toEqual(["d"])
    expect(stateAtTime([], 40)).toEqual({ heads: [], last: null, first: null })
  })

  it("includes what a change builds on, also if that claims a later time", () => {
    // The clock of the device that made `b` was a year ahead.
    const changes = [change("a", [], 10), change("b", ["a"], 9_999), change("c", ["b"], 30)]
    expect(stateAtTime(changes, 20).heads).toEqual(["a"])
    expect(stateAtTime(changes, 30)).toEqual({ heads: ["c"], last: { author: "CFO", time: 30 }, first: 10 })
  })

  it("includes changes without a time after what they build on", () => {
    const changes = [change("map", [], null), change("a", [], 10), change("b", ["a"], null), change("c", ["b", "map"], 30)]
    expect(stateAtTime(changes, 10).heads).toEqual(["b"])
    expect(stateAtTime(changes, 30).heads).toEqual(["c"])
  })

  it("names the latest change of given heads, if all are known", () => {
    const changes = new Map([change("a", [], 10), change("b", [], 20, "CEO")].map((made) => [made.hash, made]))
    const find = (hash: string) => changes.get(hash)
    expect(authorOfState(find, ["a", "b"])).toEqual({ author: "CEO", time: 20 })
    expect(authorOfState(find, ["a", "z"])).toBeNull()
  })
})

/** The changed fields as `field: then -> now`. */
const lines = (fields: readonly ComparedField[]) =>
  fields.map(({ field, base, scenario }) => `${labelOf(field)}: ${showValue(field, base)} -> ${showValue(field, scenario)}`)

describe("compareWithVersion", () => {
  it("lists what was added, changed and deleted, and the difference in money", () => {
    const { id, ours } = createCopies()
    const [gone = "", kept = ""] = addPositions(
      ours,
      [
        newPosition({ designation: "Waiter", department: "Hall", budget: 24 }),
        newPosition({ designation: "Host", department: "hall", budget: 12 }),
      ],
      "CEO",
    )
    const heads = headsOf(ours)
    setField(ours, id, "budget", 13, "CFO")
    setField(ours, id, "location", "Goa", "CFO")
    deletePositions(ours, [gone], "Waiter", "CFO")
    const [added = ""] = addPositions(
      ours,
      [newPosition({ designation: "Chef", department: "Kitchen", budget: 36, start: "2027-06" })],
      "CFO",
    )
    setField(ours, kept, "department", "Hall", "CFO")
    setField(ours, kept, "department", "hall", "CFO")
    const { comparison, months } = compareWithVersion(ours.doc(), heads, YEAR) ?? {}
    const found = new Map(comparison?.positions.map((position) => [position.id, position]))
    expect([...found.keys()].sort()).toEqual([id, gone, added].sort())
    expect(found.get(id)).toMatchObject({ designation: "Cook", plan: null, scenario: "changed", conflict: false, loss: false })
    expect(lines(found.get(id)?.fields ?? []).sort()).toEqual(["Budget: 1 -> 13", "Location: Pune -> Goa"])
    expect(found.get(gone)).toMatchObject({ designation: "Waiter", scenario: "deleted" })
    expect(lines(found.get(gone)?.fields ?? [])).toContain("Budget: 24 -> —")
    expect(found.get(added)).toMatchObject({ designation: "Chef", scenario: "added" })
    expect(comparison?.sums).toEqual([
      { department: "hall", base: 36, plan: 36, scenario: 12, difference: -24 },
      { department: "Kitchen", base: 1, plan: 1, scenario: 49, difference: 48 },
    ])
    expect(months?.map(({ difference }) => difference)).toEqual([-1, -1, ...Array(10).fill(2)])
  })

  it("lists settings, and budgets of departments one by one", () => {
    const { ours } = createCopies()
    setDepartmentBudgets(ours, [{ name: "Hall", amount: 5 }], "CEO", ours.heads())
    const heads = headsOf(ours)
    updateSettings(ours, { name: "Growth", totalBudget: 20 }, "CFO")
    setDepartmentBudgets(
      ours,
      [
        { name: "Hall", amount: 7 },
        { name: "Kitchen", amount: 9 },
      ],
      "CFO",
      ours.heads(),
    )
    setArchived(ours, true, "CFO")
    addSavedView(ours, "Mine", "group=department", "CFO")
    addVersion(ours, "Board", heads, "CFO")
    const { comparison } = compareWithVersion(ours.doc(), heads, YEAR) ?? {}
    expect(lines(comparison?.settings ?? [])).toEqual([
      "Archived: (empty) -> true",
      "Budget of Hall: 5 -> 7",
      "Budget of Kitchen: — -> 9",
      "Name: (empty) -> Growth",
      "Total budget: (empty) -> 20",
    ])
    expect(comparison?.positions).toEqual([])
  })

  it("computes no months between different units", () => {
    const { id, ours } = createCopies()
    const heads = headsOf(ours)
    updateSettings(ours, { unit: 100_000 }, "CFO")
    setField(ours, id, "budget", 2, "CFO")
    const result = compareWithVersion(ours.doc(), heads, YEAR)
    expect(result?.months).toBeNull()
    expect(result && differInScale(result.comparison)).toBe(true)
  })

  it("shows fields of other programs, and counts comments", () => {
    const { id, ours } = createCopies()
    const heads = headsOf(ours)
    ours.write((doc) => {
      Object.assign(doc.positions[id] ?? {}, { tags: ["a", "b"], since: new Date(0) })
    })
    addComment(ours, id, "Why?", "CFO")
    const { comparison } = compareWithVersion(ours.doc(), heads, YEAR) ?? {}
    expect(lines(comparison?.positions[0]?.fields ?? []).sort()).toEqual([
      "Comments: (empty) -> 1 comment",
      "since: (empty) -> 1970-01-01T00:00:00.000Z",
      'tags: (empty) -> ["a","b"]',
    ])
  })

  it("does not guess about heads that the document does not have", () => {
    const { id, ours, theirs } = createCopies()
    setField(theirs, id, "budget", 2, "CEO")
    expect(compareWithVersion(ours.doc(), headsOf(theirs), YEAR)).toBeNull()
    ours.merge(theirs)
    expect(compareWithVersion(ours.doc(), headsOf(theirs), YEAR)?.comparison.positions).toEqual([])
  })

  it("compares concurrent edits with the version that had none of them", () => {
    const { id, ours, theirs } = createCopies()
    const heads = headsOf(ours)
    setField(ours, id, "budget", 2, "CEO")
    const version = headsOf(ours)
    setField(theirs, id, "location", "Goa", "CFO")
    ours.merge(theirs)
    expect(lines(compareWithVersion(ours.doc(), version, YEAR)?.comparison.positions[0]?.fields ?? [])).toEqual(["Location: Pune -> Goa"])
    expect(compareWithVersion(ours.doc(), heads, YEAR)?.comparison.positions[0]?.fields).toHaveLength(2)
    expect(encodeHeads(heads)).not.toEqual(ours.heads())
  })
})
