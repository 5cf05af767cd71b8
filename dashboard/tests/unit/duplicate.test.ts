import { next as A } from "@automerge/automerge"
import { describe, expect, it } from "vitest"
import { setArchived } from "../../src/plan/archive"
import { copyName, duplicatePlan } from "../../src/plan/duplicate"
import { setField, updateSettings } from "../../src/plan/edit"
import { MAX_TEXT, type PlanDoc, readSettingsState } from "../../src/plan/schema"
import { Copy, createCopies } from "./support/copy"

const duplicate = (source: Copy) => new Copy(duplicatePlan(source.doc(), { id: "new", name: "Copy of Growth", author: "CFO" }))

/** A document as plain values with their types. */
const contents = (copy: Copy) => A.toJS(copy.doc()) as unknown as Record<string, unknown>

/** The same without the last change of each row. */
const withoutUpdateInfo = (copy: Copy): Record<string, unknown> => {
  const rows = Object.entries(contents(copy).positions as Record<string, Record<string, unknown>>)
  const positions = Object.fromEntries(rows.map(([id, { updatedAt: _, updatedBy: __, ...row }]) => [id, row]))
  return { ...contents(copy), positions }
}

describe("a duplicate", () => {
  it("has the rows and settings under another name and id", () => {
    const { id, ours } = createCopies()
    updateSettings(ours, { name: "Growth", currency: "EUR", unit: 1000, totalBudget: 20, yearStart: "2027-04" }, "CEO")
    ours.write((doc) => {
      doc.documentId = "old"
    })
    const made = duplicate(ours)
    expect(withoutUpdateInfo(made)).toEqual({ ...withoutUpdateInfo(ours), documentId: "new", name: "Copy of Growth" })
    expect(made.row(id).updatedBy).toBe("CFO")
    expect(made.changeLog().attributionAt(0)?.author).toBe("CFO")
  })

  it("keeps fields of other programs with their types", () => {
    const { id, ours } = createCopies()
    const fields = () => ({
      headcount: new A.Counter(3),
      code: new A.ImmutableString("CC-1"),
      at: new Date(0),
      bytes: new Uint8Array([1, 2]),
      tags: ["a", { deep: [1.5, null, true] }],
    })
    ours.write((doc) => {
      Object.assign(doc, { departmentBudgets: { Engineering: 400 }, views: { a: { name: "Mine" } }, plugin: fields() })
      Object.assign(doc.positions[id] ?? {}, fields())
    })
    const made = duplicate(ours)
    const { documentId: _, name: __, ...rest } = withoutUpdateInfo(made)
    expect(rest).toEqual(withoutUpdateInfo(ours))
    const row = made.doc().positions[id] as unknown as Record<string, unknown>
    expect(row.headcount).toBeInstanceOf(A.Counter)
    expect(row.code).toBeInstanceOf(A.ImmutableString)
  })

  it("keeps all values of conflicts", () => {
    const { id, ours, theirs } = createCopies()
    setField(ours, id, "budget", 5, "CEO")
    setField(theirs, id, "budget", 9, "CFO")
    updateSettings(ours, { totalBudget: 10 }, "CEO")
    updateSettings(theirs, { totalBudget: 20 }, "CFO")
    ours.merge(theirs)
    const made = duplicate(ours)
    expect(made.values(id, "budget")).toEqual(ours.values(id, "budget"))
    expect(made.values(id, "budget")).toHaveLength(2)
    const losing = (copy: Copy) => readSettingsState(copy.doc()).conflicts?.totalBudget?.losing.map(({ value }) => value)
    expect(losing(made)).toEqual(losing(ours))
    expect(losing(made)).toHaveLength(1)
  })

  it("has no history, comments or scenarios, and is not archived", () => {
    const { id, ours } = createCopies()
    setField(ours, id, "budget", 5, "CEO")
    ours.write((doc) => {
      Object.assign(doc, { scenarios: { other: { name: "What if" } } })
      Object.assign(doc.positions[id] ?? {}, { comments: { c: { by: "CEO", text: "Too much" } } })
    })
    setArchived(ours, true, "CEO")
    const made = duplicate(ours)
    expect(made.doc()).not.toHaveProperty("archived")
    expect(made.doc()).not.toHaveProperty("scenarios")
    expect(made.row(id)).not.toHaveProperty("comments")
    expect(ours.row(id)).toHaveProperty("comments")
    expect(A.getAllChanges(made.doc())).toHaveLength(1)
  })

  it("of a plan without a list of positions has an empty one", () => {
    const made = duplicate(new Copy(A.from<Record<string, unknown>>({ name: "Empty" }) as unknown as A.Doc<PlanDoc>))
    expect(contents(made).positions).toEqual({})
  })
})

it("the name of a copy has at most the allowed length", () => {
  expect(copyName("Growth")).toBe("Copy of Growth")
  expect(copyName("")).toBe("Copy of Untitled plan")
  expect([...copyName("🚀".repeat(MAX_TEXT))]).toHaveLength(MAX_TEXT)
})
