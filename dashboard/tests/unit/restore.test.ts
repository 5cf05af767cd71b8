/** Deleted and restored rows are complete. */
import { next as A } from "@automerge/automerge/slim"
import { encodeHeads, type UrlHeads } from "@automerge/automerge-repo/slim"
import { describe, expect, it } from "vitest"
import { deletePositions, readFieldRegister, resolveConflict, restorePositions, revertField, setField } from "../../src/plan/edit"
import { readRegister } from "../../src/plan/multi-value-register"
import { type Copy, createCopies } from "./support/copy"

const sorted = (values: unknown[]) => [...values].sort()

/** Fields of other programs. */
const OTHERS = {
  headcount: 3,
  ratio: 1.5,
  isOpen: true,
  nothing: null,
  notes: { by: "CFO", lines: ["one", { two: 2 }], empty: {} },
  code: new A.ImmutableString("C-7"),
  hired: new A.Counter(2),
  start: new Date(1_700_000_000_000),
  scan: new Uint8Array([1, 2, 3]),
}

function withOthers() {
  const { id, ours } = createCopies()
  ours.write((doc) => {
    Object.assign(doc.positions[id] ?? {}, OTHERS)
    Object.assign(doc.positions[id] ?? {}, { exact: new A.Float64(4), size: new A.Uint(9) })
  })
  return { id, ours, theirs: ours.fork() }
}

/** A stored row without operation ids and update information. */
function stored(copy: Copy, id: string, heads?: UrlHeads): string {
  return JSON.stringify(readRegister(copy.doc(), ["positions", id], heads), (key, value) => {
    if (key === "operation") return undefined
    if (value instanceof Map) return [...value].filter(([name]) => name !== "updatedAt" && name !== "updatedBy")
    if (value instanceof A.Float64 || value instanceof A.Uint) return `${value.constructor.name} ${value.value}`
    return typeof value === "bigint" ? `${value}n` : value
  })
}

function bothSet(ours: Copy, theirs: Copy, id: string): void {
  setField(ours, id, "budget", 21, "CEO")
  setField(ours, id, "designation", "Chef", "CEO")
  setField(theirs, id, "budget", 22, "CFO")
  setField(theirs, id, "designation", "Head cook", "CFO")
  ours.merge(theirs)
}

describe("undoing a deletion", () => {
  it("restores integers beyond the safe range", () => {
    const { id, ours } = createCopies()
    ours.write((doc) => {
      Object.assign(doc.positions[id] ?? {}, { huge: 9_007_199_254_740_993n })
    })
    const heads = ours.heads()
    deletePositions(ours, [id], "Cook", "CEO")
    restorePositions(ours, [{ id, heads }], "CEO")
    expect(stored(ours, id)).toBe(stored(ours, id, heads))
  })

  it("restores every field with its type", () => {
    const { id, ours } = withOthers()
    const heads = ours.heads()
    deletePositions(ours, [id], "Cook", "CEO")
    restorePositions(ours, [{ id, heads }], "CFO", ours.heads())
    expect(stored(ours, id)).toBe(stored(ours, id, heads))
    expect(ours.readPosition(id)).toMatchObject({ designation: "Cook", updatedBy: "CFO" })
  })

  it("restores conflicts with the same shown value", () => {
    const { id, ours, theirs } = withOthers()
    bothSet(ours, theirs, id)
    const [budgets, names] = [ours.values(id, "budget"), ours.values(id, "designation")]
    const heads = ours.heads()
    deletePositions(ours, [id], "Cook", "CEO")
    restorePositions(ours, [{ id, heads }], "CEO", ours.heads())
    expect(ours.values(id, "budget")).toEqual(budgets)
    expect(ours.values(id, "designation")).toEqual(names)
    expect(stored(ours, id)).toBe(stored(ours, id, heads))
    theirs.merge(ours)
    expect(theirs.values(id, "budget")).toEqual(budgets)
    resolveConflict(theirs, id, "budget", theirs.operation(id, "budget", 22), "CFO")
    expect(theirs.values(id, "budget")).toEqual([22])
  })

  it("restores conflicts in and below unknown fields", () => {
    const { id, ours } = withOthers()
    ours.write((doc) => {
      Object.assign(doc.positions[id] ?? {}, { counts: [0, null] })
    })
    const theirs = ours.fork()
    for (const [copy, value] of [
      [ours, "A"],
      [theirs, "B"],
    ] as const)
      copy.write((doc) => {
        const row = doc.positions[id] as Record<string, unknown>
        row.grade = { scale: value }
        ;(row.notes as Record<string, unknown>).by = value
        ;((row.notes as Record<string, unknown>).lines as unknown[])[0] = value
        ;(row.counts as unknown[])[0] = value === "A" ? 1 : 2
      })
    ours.merge(theirs)
    const heads = ours.heads()
    deletePositions(ours, [id], "Cook", "CEO")
    restorePositions(ours, [{ id, heads }], "CEO")
    expect(stored(ours, id)).toBe(stored(ours, id, heads))
  })

  it("restores an entry that is not a map", () => {
    const { ours } = createCopies()
    ours.write((doc) => {
      doc.positions.odd = "just text" as unknown as Record<string, unknown>
    })
    const heads = ours.heads()
    deletePositions(ours, ["odd"], "", "CEO")
    restorePositions(ours, [{ id: "odd", heads }], "CEO")
    expect(ours.readPosition("odd")?.invalidEntry).toBe("just text")
  })

  it("reports rows that are missing at the heads", () => {
    const { ours } = createCopies()
    expect(restorePositions(ours, [{ id: "nobody", heads: ours.heads() }], "CEO")).toEqual(["nobody"])
  })

  it("includes discarded edits of unknown fields", () => {
    const { id, ours, theirs } = withOthers()
    deletePositions(ours, [id], "Cook", "CEO")
    setField(theirs, id, "budget", 7, "CFO")
    theirs.write((doc) => {
      Object.assign(doc.positions[id] ?? {}, { headcount: 4 })
    })
    ours.merge(theirs)
    const discarded = ours.changeLog().discardedEdits()
    expect(discarded.map(({ field, value }) => [field, value])).toEqual([
      ["headcount", 4],
      ["budget", 7],
    ])
    restorePositions(ours, [{ id, heads: encodeHeads(discarded.flatMap(({ heads }) => heads)) }], "CEO")
    expect(ours.row(id)).toMatchObject({ budget: 7, headcount: 4 })
    expect(ours.discardedEdits()).toEqual([])
  })
})

describe("concurrently restored rows", () => {
  function twins() {
    const { id, ours } = withOthers()
    const heads = ours.heads()
    deletePositions(ours, [id], "Cook", "CEO")
    const theirs = ours.fork()
    restorePositions(ours, [{ id, heads }], "CEO")
    restorePositions(theirs, [{ id, heads }], "CFO")
    theirs.write((doc) => {
      Object.assign(doc.positions[id] ?? {}, { scenario: "B" })
    })
    setField(theirs, id, "budget", 7, "CFO")
    setField(theirs, id, "location", "Goa", "CFO")
    ours.merge(theirs)
    return { id, ours }
  }

  it("merge without loss when a conflict is resolved", () => {
    const { id, ours } = twins()
    expect(sorted(ours.values(id, "budget"))).toEqual([1, 7])
    resolveConflict(ours, id, "budget", ours.operation(id, "budget", 7), "CEO")
    expect(readRegister(ours.doc(), ["positions", id])).toHaveLength(1)
    expect(ours.values(id, "budget")).toEqual([7])
    expect(sorted(ours.values(id, "location"))).toEqual(["Goa", "Pune"])
    expect(ours.row(id)).toMatchObject({ scenario: "B", headcount: 3, notes: OTHERS.notes })
  })

  it("are both restored when their deletion is undone", () => {
    const { id, ours } = twins()
    const [heads, budgets] = [ours.heads(), ours.values(id, "budget")]
    deletePositions(ours, [id], "Cook", "CEO")
    restorePositions(ours, [{ id, heads }], "CEO", ours.heads())
    expect(ours.values(id, "budget")).toEqual(budgets)
    expect(stored(ours, id)).toBe(stored(ours, id, heads))
  })
})

describe("undoing an edit", () => {
  it("restores the conflict that the edit resolved", () => {
    const { id, ours, theirs } = withOthers()
    bothSet(ours, theirs, id)
    const [before, values] = [readFieldRegister(ours, id, "budget"), ours.values(id, "budget")]
    setField(ours, id, "budget", 30, "CEO")
    expect(ours.values(id, "budget")).toEqual([30])
    revertField(ours, id, "budget", before, "CEO")
    expect(ours.values(id, "budget")).toEqual(values)
  })

  it("restores a conflict resolved by keeping one value", () => {
    for (const at of [0, 1]) {
      const { id, ours, theirs } = withOthers()
      bothSet(ours, theirs, id)
      for (const field of ["budget", "designation"] as const) {
        const [before, values] = [readFieldRegister(ours, id, field), ours.values(id, field)]
        resolveConflict(ours, id, field, ours.operation(id, field, values[at]), "CEO")
        expect(ours.values(id, field)).toEqual([values[at]])
        revertField(ours, id, field, before, "CEO")
        expect(ours.values(id, field)).toEqual(values)
      }
    }
  })

  it("restores known and unknown budgets", () => {
    const { id, ours } = createCopies()
    const known = readFieldRegister(ours, id, "budget")
    setField(ours, id, "budget", null, "CEO")
    const unknown = readFieldRegister(ours, id, "budget")
    revertField(ours, id, "budget", known, "CEO")
    expect(ours.values(id, "budget")).toEqual([1])
    revertField(ours, id, "budget", unknown, "CEO")
    expect(Object.keys(ours.row(id))).not.toContain("budget")
  })

  it("keeps values that others have set since", () => {
    const { id, ours, theirs } = createCopies()
    const before = readFieldRegister(ours, id, "budget")
    setField(ours, id, "budget", 30, "CEO")
    const position = ours.readPosition(id)
    if (!position) throw new Error("the row is gone")
    const seen = { position, heads: ours.heads() }
    theirs.merge(ours)
    setField(theirs, id, "budget", 40, "CFO")
    ours.merge(theirs)
    revertField(ours, id, "budget", before, "CEO", seen)
    expect(sorted(ours.values(id, "budget"))).toEqual([1, 40])
  })
})

it("a value of another type is shown and can be chosen", () => {
  const { id, ours, theirs } = createCopies()
  ours.write((doc) => {
    Object.assign(doc.positions[id] ?? {}, { budget: "twelve", designation: ["a", 1], department: null })
  })
  expect(ours.readPosition(id)).toMatchObject({
    budget: null,
    designation: '["a",1]',
    department: "",
    mistyped: { budget: "twelve", designation: '["a",1]' },
  })
  setField(theirs, id, "budget", 9, "CFO")
  ours.merge(theirs)
  expect(sorted(ours.values(id, "budget"))).toEqual([9, "twelve"])
  resolveConflict(ours, id, "budget", ours.operation(id, "budget", "twelve"), "CEO")
  expect(ours.row(id).budget).toBe("twelve")
})
