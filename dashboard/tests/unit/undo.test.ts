/** Undo and redo of the user's own actions. */
import { next as A } from "@automerge/automerge/slim"
import { describe, expect, it } from "vitest"
import { addPositions, changeCells, deletePositions, resolveConflict, setField, updateSettings } from "../../src/plan/edit"
import { readRegister } from "../../src/plan/multi-value-register"
import { readSettings } from "../../src/plan/schema"
import { type ActionPart, containedParts, groupCells, revertPart, type Targets } from "../../src/plan/undo"
import { type Copy, createCopies } from "./support/copy"
import { newPosition } from "./support/position"

/** A user whose page has the given copy. */
function user(copy: Copy, name: string) {
  const actors = new Set([A.getActorId(copy.doc())])
  const isOwn = (actor: string) => [...actors].some((own) => actor.startsWith(own))
  return {
    act(targets: Targets, edit: () => void): ActionPart {
      const before = copy.heads()
      edit()
      return { before, after: copy.heads(), ...targets }
    },
    revert: (part: ActionPart) => revertPart(copy, part, "undid", name, isOwn),
  }
}

function setup() {
  const { id, ours, theirs } = createCopies()
  return { id, ours, theirs, ceo: user(ours, "CEO"), cfo: user(theirs, "CFO") }
}

const cell = (id: string, field = "budget"): Targets => ({ cells: { [field]: [id] } })
const sorted = (values: unknown[]) => [...values].sort()

describe("undo of cells", () => {
  it("brings back the earlier values, and redo the later ones", () => {
    const { id, ours, ceo } = setup()
    const [other = ""] = addPositions(ours, [newPosition({ designation: "Waiter", location: "Goa" })], "CEO")
    const cells = [
      { id, field: "budget", value: 5 },
      { id: other, field: "budget", value: 6 },
      { id: other, field: "location", value: "Pune" },
    ] as const
    const part = ceo.act({ cells: groupCells(cells) }, () => void changeCells(ours, cells, [], "pasted 3 cells", "CEO"))
    const undone = ceo.revert(part)
    expect(undone.kept).toEqual([])
    expect(ours.row(id).budget).toBe(1)
    expect(ours.row(other)).not.toHaveProperty("budget")
    expect(ours.row(other).location).toBe("Goa")
    const redone = ceo.revert(undone.inverse as ActionPart)
    expect(ours.row(other)).toMatchObject({ budget: 6, location: "Pune" })
    ceo.revert(redone.inverse as ActionPart)
    expect(ours.row(other)).not.toHaveProperty("budget")
  })

  it("is one change", () => {
    const { ours, ceo } = setup()
    const rows = Array.from({ length: 50 }, (_, at) => newPosition({ designation: `Cook ${at}`, budget: at }))
    const cells = addPositions(ours, rows, "CEO").map((id) => ({ id, field: "budget" as const, value: null }))
    const part = ceo.act({ cells: groupCells(cells) }, () => void changeCells(ours, cells, [], "cleared 50 cells", "CEO"))
    const count = () => A.getAllChanges(ours.doc()).length
    const before = count()
    ceo.revert(part)
    expect(count()).toBe(before + 1)
  })

  it("goes back through several actions on a cell", () => {
    const { id, ours, ceo } = setup()
    const parts = [2, 3, 4].map((budget) => ceo.act(cell(id), () => setField(ours, id, "budget", budget, "CEO")))
    const inverses = parts.toReversed().map((part) => ceo.revert(part).inverse as ActionPart)
    expect(ours.values(id, "budget")).toEqual([1])
    for (const inverse of inverses.toReversed()) expect(ceo.revert(inverse).kept).toEqual([])
    expect(ours.values(id, "budget")).toEqual([4])
  })

  it("keeps what another user has changed since", () => {
    const { id, ours, theirs, ceo } = setup()
    const part = ceo.act({ cells: { budget: [id], location: [id] } }, () => {
      setField(ours, id, "budget", 5, "CEO")
      setField(ours, id, "location", "Goa", "CEO")
    })
    theirs.merge(ours)
    setField(theirs, id, "budget", 9, "CFO")
    ours.merge(theirs)
    const { kept, inverse } = ceo.revert(part)
    expect(kept).toEqual([{ id, field: "budget", name: "Cook", reason: "changed" }])
    expect(ours.values(id, "budget")).toEqual([9])
    expect(ours.row(id).location).toBe("Pune")
    expect(inverse?.cells).toEqual({ location: [id] })
  })

  it("keeps an equal value that another user has set", () => {
    const { id, ours, theirs, ceo } = setup()
    const part = ceo.act(cell(id), () => setField(ours, id, "budget", 5, "CEO"))
    theirs.merge(ours)
    setField(theirs, id, "budget", 6, "CFO")
    setField(theirs, id, "budget", 5, "CFO")
    ours.merge(theirs)
    expect(ceo.revert(part)).toMatchObject({ inverse: null, kept: [{ reason: "changed" }] })
    expect(ours.values(id, "budget")).toEqual([5])
  })

  it("keeps a concurrent value and the conflict with it", () => {
    const { id, ours, theirs, ceo } = setup()
    const part = ceo.act(cell(id), () => setField(ours, id, "budget", 5, "CEO"))
    setField(theirs, id, "budget", 9, "CFO")
    ours.merge(theirs)
    expect(ceo.revert(part)).toMatchObject({ inverse: null })
    expect(sorted(ours.values(id, "budget"))).toEqual([5, 9])
  })

  it("keeps a budget that another user has cleared", () => {
    const { id, ours, theirs, ceo } = setup()
    const part = ceo.act(cell(id), () => setField(ours, id, "budget", 5, "CEO"))
    theirs.merge(ours)
    setField(theirs, id, "budget", null, "CFO")
    ours.merge(theirs)
    expect(ceo.revert(part)).toMatchObject({ inverse: null, kept: [{ reason: "changed" }] })
    expect(ours.row(id)).not.toHaveProperty("budget")
  })

  it("restores a conflict that the action resolved", () => {
    const { id, ours, theirs, ceo } = setup()
    setField(ours, id, "budget", 21, "CEO")
    setField(theirs, id, "budget", 22, "CFO")
    ours.merge(theirs)
    const values = ours.values(id, "budget")
    const part = ceo.act(cell(id), () => resolveConflict(ours, id, "budget", ours.operation(id, "budget", 22), "CEO"))
    expect(ours.values(id, "budget")).toEqual([22])
    const { inverse } = ceo.revert(part)
    expect(ours.values(id, "budget")).toEqual(values)
    ceo.revert(inverse as ActionPart)
    expect(ours.values(id, "budget")).toEqual([22])
  })

  it("reports positions that were deleted since", () => {
    const { id, ours, theirs, ceo } = setup()
    const part = ceo.act(cell(id), () => setField(ours, id, "budget", 5, "CEO"))
    theirs.merge(ours)
    deletePositions(theirs, [id], "Cook", "CFO")
    ours.merge(theirs)
    expect(ceo.revert(part)).toEqual({ inverse: null, kept: [{ id, field: "budget", name: "Cook", reason: "deleted" }] })
  })

  it("keeps fields of other programs", () => {
    const { id, ours, ceo } = setup()
    ours.write((doc) => Object.assign(doc.positions[id] ?? {}, { headcount: 3, notes: { by: "CFO" } }))
    const part = ceo.act(cell(id), () => setField(ours, id, "budget", 5, "CEO"))
    ours.write((doc) => Object.assign(doc.positions[id] ?? {}, { headcount: 4 }))
    ceo.revert(part)
    expect(ours.row(id)).toMatchObject({ budget: 1, headcount: 4, notes: { by: "CFO" } })
  })
})

describe("undo of a deletion", () => {
  it("brings back unknown fields and conflicts, also after a redo", () => {
    const { id, ours, theirs, ceo } = setup()
    ours.write((doc) => Object.assign(doc.positions[id] ?? {}, { notes: { by: "CFO", lines: ["one"] } }))
    theirs.merge(ours)
    setField(ours, id, "budget", 21, "CEO")
    setField(theirs, id, "budget", 22, "CFO")
    ours.merge(theirs)
    const [values, row] = [ours.values(id, "budget"), ours.row(id)]
    let part: ActionPart = ceo.act({ rows: [id] }, () => deletePositions(ours, [id], "Cook", "CEO"))
    for (let round = 0; round < 2; round += 1) {
      const undone = ceo.revert(part)
      expect(undone.kept).toEqual([])
      expect(ours.values(id, "budget")).toEqual(values)
      expect(ours.row(id)).toMatchObject({ ...row, updatedAt: expect.anything(), updatedBy: "CEO" })
      const redone = ceo.revert(undone.inverse as ActionPart)
      expect(readRegister(ours.doc(), ["positions", id])).toEqual([])
      part = redone.inverse as ActionPart
    }
  })

  it("leaves a position that another user has restored", () => {
    const { id, ours, theirs, ceo, cfo } = setup()
    const part = ceo.act({ rows: [id] }, () => deletePositions(ours, [id], "Cook", "CEO"))
    theirs.merge(ours)
    cfo.revert(part)
    setField(theirs, id, "budget", 9, "CFO")
    ours.merge(theirs)
    expect(ceo.revert(part)).toMatchObject({ inverse: null, kept: [{ id, field: null, reason: "changed" }] })
    expect(ours.values(id, "budget")).toEqual([9])
  })

  it("keeps concurrent edits listed for review", () => {
    const { id, ours, theirs, ceo } = setup()
    const part = ceo.act({ rows: [id] }, () => deletePositions(ours, [id], "Cook", "CEO"))
    setField(theirs, id, "budget", 7, "CFO")
    ours.merge(theirs)
    ceo.revert(part)
    expect(ours.discardedEdits()).toEqual([{ field: "budget", value: 7, author: "CFO" }])
  })
})

describe("undo of an addition", () => {
  function add(copy: Copy): ActionPart {
    const before = copy.heads()
    const rows = addPositions(copy, [newPosition({ designation: "Plumber", budget: 5 })], "CEO")
    return { before, after: copy.heads(), rows }
  }

  it("deletes the position, and redo brings it back with its id", () => {
    const { ours, ceo } = setup()
    const part = add(ours)
    const [id = ""] = part.rows ?? []
    const { inverse } = ceo.revert(part)
    expect(ours.readPosition(id)).toBeNull()
    ceo.revert(inverse as ActionPart)
    expect(ours.readPosition(id)).toMatchObject({ designation: "Plumber", budget: 5 })
  })

  it("keeps a position that another user has edited since", () => {
    const { ours, theirs, ceo } = setup()
    const part = add(ours)
    const [id = ""] = part.rows ?? []
    theirs.merge(ours)
    theirs.write((doc) => Object.assign(doc.positions[id] ?? {}, { headcount: 2 }))
    ours.merge(theirs)
    expect(ceo.revert(part)).toMatchObject({ inverse: null, kept: [{ name: "Plumber", field: null, reason: "changed" }] })
    expect(ours.row(id)).toMatchObject({ designation: "Plumber", headcount: 2 })
  })

  it("deletes a position whose own later edit was undone", () => {
    const { ours, ceo } = setup()
    const part = add(ours)
    const [id = ""] = part.rows ?? []
    const edit = ceo.act(cell(id), () => setField(ours, id, "budget", 6, "CEO"))
    ceo.revert(edit)
    expect(ceo.revert(part).kept).toEqual([])
    expect(ours.readPosition(id)).toBeNull()
  })
})

it("settings are undone unless another user has changed them", () => {
  const { ours, theirs, ceo } = setup()
  updateSettings(ours, { totalBudget: 10, name: "Growth" }, "CEO")
  const part = ceo.act({ settings: ["totalBudget", "name"] }, () => void updateSettings(ours, { totalBudget: 20, name: "Cuts" }, "CEO"))
  theirs.merge(ours)
  updateSettings(theirs, { name: "Board" }, "CFO")
  ours.merge(theirs)
  const { kept } = ceo.revert(part)
  expect(kept).toEqual([{ id: null, field: "name", name: "", reason: "changed" }])
  expect(readSettings(ours.doc())).toMatchObject({ totalBudget: 10, name: "Board" })
})

it("an action that the document does not contain is recognized", () => {
  const { id, ours, theirs, ceo } = setup()
  const part = ceo.act(cell(id), () => setField(ours, id, "budget", 5, "CEO"))
  expect(containedParts(ours, { parts: [part] })).toEqual([part])
  expect(containedParts(theirs, { parts: [part] })).toEqual([])
})
