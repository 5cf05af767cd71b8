/** History events for conflicts and restored positions. */
import { encodeHeads } from "@automerge/automerge-repo/slim"
import { describe, expect, it } from "vitest"
import { deletePositions, readFieldRegister, resolveConflict, restorePositions, revertField, setField } from "../../src/plan/edit"
import { type Copy, createCopies } from "./support/copy"

/** A conflict of two budgets: the shown value and the other one. */
function conflict() {
  const { id, ours, theirs } = createCopies()
  setField(ours, id, "budget", 21, "CEO")
  setField(theirs, id, "budget", 22, "CFO")
  ours.merge(theirs)
  const [shown, other] = ours.values(id, "budget") as number[]
  return { id, ours, shown, other }
}

const budgets = (copy: Copy) =>
  copy
    .latestEvents()
    .flat()
    .flatMap((event) =>
      event.kind === "set" && event.field === "budget" ? [{ old: event.old, new: event.new, resolved: event.resolved }] : [],
    )

describe("a resolved conflict", () => {
  it("lists the shown value over the other one", () => {
    const { id, ours, shown, other } = conflict()
    resolveConflict(ours, id, "budget", ours.operation(id, "budget", shown), "CEO")
    expect(budgets(ours)).toEqual([{ old: shown, new: shown, resolved: [shown, other] }])
  })

  it("lists the other value over the shown one", () => {
    const { id, ours, shown, other } = conflict()
    resolveConflict(ours, id, "budget", ours.operation(id, "budget", other), "CEO")
    expect(budgets(ours)).toEqual([{ old: shown, new: other, resolved: [shown, other] }])
  })

  it("lists a new or cleared value over both", () => {
    for (const value of [30, null]) {
      const { id, ours, shown, other } = conflict()
      setField(ours, id, "budget", value, "CEO")
      expect(budgets(ours)).toEqual([{ old: shown, new: value, resolved: [shown, other] }])
    }
  })

  it("ignores writes that its author had not seen", () => {
    const { id, ours, theirs } = createCopies()
    setField(theirs, id, "budget", 22, "CFO")
    ours.change((doc) => {
      delete doc.positions[id]?.budget
    })
    const merged = theirs.fork()
    merged.merge(ours)
    expect(merged.latestEvents(2).flat()).toContainEqual(expect.objectContaining({ field: "budget", old: 1, new: null }))
    expect(merged.latestEvents(2).flat()).toContainEqual(expect.objectContaining({ field: "budget", old: 1, new: 22 }))
  })

  it("of texts lists the texts", () => {
    const { id, ours, theirs } = createCopies()
    setField(ours, id, "location", "Goa", "CEO")
    setField(theirs, id, "location", "Delhi", "CFO")
    ours.merge(theirs)
    const [shown, other] = ours.values(id, "location")
    resolveConflict(ours, id, "location", ours.operation(id, "location", shown), "CEO")
    expect(ours.latestEvents().flat()).toContainEqual(expect.objectContaining({ old: shown, new: shown, resolved: [shown, other] }))
  })

  it("of two rows lists one replacement", () => {
    const { id, ours } = createCopies()
    const heads = ours.heads()
    deletePositions(ours, [id], "Cook", "CEO")
    const theirs = ours.fork()
    restorePositions(ours, [{ id, heads }], "CEO")
    restorePositions(theirs, [{ id, heads }], "CFO")
    setField(theirs, id, "budget", 7, "CFO")
    ours.merge(theirs)
    resolveConflict(ours, id, "budget", ours.operation(id, "budget", 7), "CEO")
    expect(ours.latestEvents().flat()).toEqual([{ kind: "replaced", position: id, name: "Cook", rows: 2 }])
  })
})

describe("a restored position", () => {
  it("is listed with its restored conflict", () => {
    const { id, ours, shown, other } = conflict()
    const heads = ours.heads()
    deletePositions(ours, [id], "Cook", "CEO")
    restorePositions(ours, [{ id, heads }], "CEO", ours.heads())
    const events = ours.latestEvents(3).flat()
    expect(events.filter(({ kind }) => kind !== "set")).toEqual([{ kind: "restored", position: id, name: "Cook" }])
    expect(events.flatMap((event) => (event.kind === "set" ? [[event.new, event.restored]] : [])).sort()).toEqual(
      [shown, other].map((value) => [value, true]).sort(),
    )
  })

  it("is listed as added if it was never deleted", () => {
    const { ours } = createCopies()
    expect(ours.latestEvents().flat()).toMatchObject([{ kind: "added" }])
  })
})

it("an undone edit lists the restored value", () => {
  const { id, ours } = createCopies()
  const before = readFieldRegister(ours, id, "budget")
  setField(ours, id, "budget", 30, "CEO")
  revertField(ours, id, "budget", before, "CEO")
  expect(budgets(ours)).toEqual([{ old: 30, new: 1, resolved: undefined }])
})

it("a restored conflict lists both values", () => {
  const { id, ours, shown, other } = conflict()
  const before = readFieldRegister(ours, id, "budget")
  resolveConflict(ours, id, "budget", ours.operation(id, "budget", shown), "CEO")
  revertField(ours, id, "budget", before, "CEO")
  const events = ours.latestEvents(2).flat()
  expect(events).toContainEqual(expect.objectContaining({ field: "budget", old: shown, new: other }))
  expect(events).toContainEqual(expect.objectContaining({ field: "budget", new: shown, restored: true }))
})

it("unknown fields are listed, nested ones by name", () => {
  const { id, ours } = createCopies()
  ours.write((doc) => {
    Object.assign(doc.positions[id] ?? {}, { headcount: 3, isOpen: true, notes: { lines: ["one"] } })
    doc.scenario = "B"
  })
  const set = { kind: "set", position: id, name: "Cook", old: null }
  expect(ours.latestEvents().flat()).toEqual([
    { ...set, field: "headcount", new: 3 },
    { ...set, field: "isOpen", new: "true" },
    { ...set, field: "notes", new: null, nested: true },
    { kind: "set", position: null, name: "", field: "scenario", old: null, new: "B" },
  ])
  ours.write((doc) => {
    ;((doc.positions[id] as { notes: { lines: string[] } }).notes.lines as string[]).push("two")
  })
  expect(ours.latestEvents().flat()).toEqual([{ ...set, field: "notes", new: null, nested: true }])
})

it("a discarded edit of a list is restored with its row", () => {
  const { id, ours } = createCopies()
  ours.write((doc) => {
    Object.assign(doc.positions[id] ?? {}, { lines: ["one"] })
  })
  const theirs = ours.fork()
  deletePositions(ours, [id], "Cook", "CEO")
  theirs.write((doc) => {
    ;(doc.positions[id] as { lines: string[] }).lines.push("two")
  })
  ours.merge(theirs)
  const [discarded] = ours.changeLog().discardedEdits()
  expect(discarded).toMatchObject({ field: "lines", nested: true })
  restorePositions(ours, [{ id, heads: encodeHeads(discarded?.heads ?? []) }], "CEO")
  expect(ours.row(id).lines).toEqual(["one", "two"])
})

it("a change that cannot be decoded hides no other", () => {
  const { id, ours } = createCopies()
  ours.write((doc) => {
    Object.assign(doc.positions[id] ?? {}, { huge: 9_007_199_254_740_993n })
  })
  setField(ours, id, "budget", 5, "CFO")
  expect(ours.latestEvents(3)).toMatchObject([[{ field: "budget", old: 1, new: 5 }], [], [{ kind: "added" }]])
})
