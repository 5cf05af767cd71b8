/** What the history says of conflicts and of positions that come back. */
import { encodeHeads } from "@automerge/automerge-repo/slim"
import { describe, expect, it } from "vitest"
import { putBack, readField, remove, restore, set, settle } from "../../src/plan/edit"
import { type Copy, copies } from "./support/copy"

/** Two budgets at once: the one that is shown, and the other. */
function conflict() {
  const { id, ours, theirs } = copies()
  set(ours, id, "budget", 21, "CEO")
  set(theirs, id, "budget", 22, "CFO")
  ours.hear(theirs)
  const [shown, other] = ours.values(id, "budget") as number[]
  return { id, ours, shown, other }
}

const budgets = (copy: Copy) =>
  copy
    .told()
    .flat()
    .flatMap((deed) => (deed.kind === "set" && deed.field === "budget" ? [{ old: deed.old, new: deed.new, settled: deed.settled }] : []))

describe("a settled conflict", () => {
  it("is told as the shown value over the other one", () => {
    const { id, ours, shown, other } = conflict()
    settle(ours, id, "budget", ours.operation(id, "budget", shown), "CEO")
    expect(budgets(ours)).toEqual([{ old: shown, new: shown, settled: [shown, other] }])
  })

  it("is told as the other value over the shown one", () => {
    const { id, ours, shown, other } = conflict()
    settle(ours, id, "budget", ours.operation(id, "budget", other), "CEO")
    expect(budgets(ours)).toEqual([{ old: shown, new: other, settled: [shown, other] }])
  })

  it("is told as a third value, or nothing, over both", () => {
    for (const value of [30, null]) {
      const { id, ours, shown, other } = conflict()
      set(ours, id, "budget", value, "CEO")
      expect(budgets(ours)).toEqual([{ old: shown, new: value, settled: [shown, other] }])
    }
  })

  it("does not count writes that its author had not seen", () => {
    const { id, ours, theirs } = copies()
    set(theirs, id, "budget", 22, "CFO")
    ours.change((doc) => {
      delete doc.positions[id]?.budget
    })
    const merged = theirs.other()
    merged.hear(ours)
    expect(merged.told(2).flat()).toContainEqual(expect.objectContaining({ field: "budget", old: 1, new: null }))
    expect(merged.told(2).flat()).toContainEqual(expect.objectContaining({ field: "budget", old: 1, new: 22 }))
  })

  it("of texts is told with the texts", () => {
    const { id, ours, theirs } = copies()
    set(ours, id, "location", "Goa", "CEO")
    set(theirs, id, "location", "Delhi", "CFO")
    ours.hear(theirs)
    const [shown, other] = ours.values(id, "location")
    settle(ours, id, "location", ours.operation(id, "location", shown), "CEO")
    expect(ours.told().flat()).toContainEqual(expect.objectContaining({ old: shown, new: shown, settled: [shown, other] }))
  })

  it("of two rows is told as one in their place", () => {
    const { id, ours } = copies()
    const heads = ours.heads()
    remove(ours, [id], "Cook", "CEO")
    const theirs = ours.other()
    restore(ours, [{ id, heads }], "CEO")
    restore(theirs, [{ id, heads }], "CFO")
    set(theirs, id, "budget", 7, "CFO")
    ours.hear(theirs)
    settle(ours, id, "budget", ours.operation(id, "budget", 7), "CEO")
    expect(ours.told().flat()).toEqual([{ kind: "replaced", position: id, name: "Cook", rows: 2 }])
  })
})

describe("a position that comes back", () => {
  it("is told as restored, and its conflict as restored values", () => {
    const { id, ours, shown, other } = conflict()
    const heads = ours.heads()
    remove(ours, [id], "Cook", "CEO")
    restore(ours, [{ id, heads }], "CEO", ours.heads())
    const deeds = ours.told(3).flat()
    expect(deeds.filter(({ kind }) => kind !== "set")).toEqual([{ kind: "restored", position: id, name: "Cook" }])
    expect(deeds.flatMap((deed) => (deed.kind === "set" ? [[deed.new, deed.restored]] : [])).sort()).toEqual(
      [shown, other].map((value) => [value, true]).sort(),
    )
  })

  it("is added where nobody has deleted it before", () => {
    const { ours } = copies()
    expect(ours.told().flat()).toMatchObject([{ kind: "added" }])
  })
})

it("an undone edit is told as the value that returns", () => {
  const { id, ours } = copies()
  const before = readField(ours, id, "budget")
  set(ours, id, "budget", 30, "CEO")
  putBack(ours, id, "budget", before, "CEO")
  expect(budgets(ours)).toEqual([{ old: 30, new: 1, settled: undefined }])
})

it("a conflict that returns is told with both values", () => {
  const { id, ours, shown, other } = conflict()
  const before = readField(ours, id, "budget")
  settle(ours, id, "budget", ours.operation(id, "budget", shown), "CEO")
  putBack(ours, id, "budget", before, "CEO")
  const deeds = ours.told(2).flat()
  expect(deeds).toContainEqual(expect.objectContaining({ field: "budget", old: shown, new: other }))
  expect(deeds).toContainEqual(expect.objectContaining({ field: "budget", new: shown, restored: true }))
})

it("unknown fields are told, nested ones by name", () => {
  const { id, ours } = copies()
  ours.write((doc) => {
    Object.assign(doc.positions[id] ?? {}, { headcount: 3, isOpen: true, notes: { lines: ["one"] } })
    doc.scenario = "B"
  })
  const set = { kind: "set", position: id, name: "Cook", old: null }
  expect(ours.told().flat()).toEqual([
    { ...set, field: "headcount", new: 3 },
    { ...set, field: "isOpen", new: "true" },
    { ...set, field: "notes", new: null, nested: true },
    { kind: "set", position: null, name: "", field: "scenario", old: null, new: "B" },
  ])
  ours.write((doc) => {
    ;((doc.positions[id] as { notes: { lines: string[] } }).notes.lines as string[]).push("two")
  })
  expect(ours.told().flat()).toEqual([{ ...set, field: "notes", new: null, nested: true }])
})

it("a swallowed edit of a list is restored with its row", () => {
  const { id, ours } = copies()
  ours.write((doc) => {
    Object.assign(doc.positions[id] ?? {}, { lines: ["one"] })
  })
  const theirs = ours.other()
  remove(ours, [id], "Cook", "CEO")
  theirs.write((doc) => {
    ;(doc.positions[id] as { lines: string[] }).lines.push("two")
  })
  ours.hear(theirs)
  const [swallowed] = ours.ledger().swallowed()
  expect(swallowed).toMatchObject({ field: "lines", nested: true })
  restore(ours, [{ id, heads: encodeHeads(swallowed?.heads ?? []) }], "CEO")
  expect(ours.row(id).lines).toEqual(["one", "two"])
})

it("a change that cannot be decoded hides no other", () => {
  const { id, ours } = copies()
  ours.write((doc) => {
    Object.assign(doc.positions[id] ?? {}, { huge: 9_007_199_254_740_993n })
  })
  set(ours, id, "budget", 5, "CFO")
  expect(ours.told(3)).toMatchObject([[{ field: "budget", old: 1, new: 5 }], [], [{ kind: "added" }]])
})
