import { describe, expect, it } from "vitest"
import { isChangedSinceApproval } from "../../src/plan/approval"
import { addPositions, approvePosition, changeCells, restoreFieldValue, setField } from "../../src/plan/edit"
import type { Position } from "../../src/plan/schema"
import { groupCells, revertPart } from "../../src/plan/undo"
import { type Copy, createCopies } from "./support/copy"
import { newPosition, shownPosition } from "./support/position"

const approvalOf = (copy: Copy, id: string) => copy.readPosition(id)?.approval
const isChanged = (copy: Copy, id: string) => isChangedSinceApproval(copy.readPosition(id) as Position)

describe("an approval", () => {
  it("records the approved budget, the time and the author", () => {
    const { ours, id } = createCopies()
    expect(approvalOf(ours, id)).toBeNull()
    const before = Date.now()
    setField(ours, id, "status", "approved", "CEO")
    expect(approvalOf(ours, id)).toMatchObject({ budget: 1, by: "CEO" })
    expect(approvalOf(ours, id)?.at).toBeGreaterThanOrEqual(before)
    expect(ours.row(id)).toMatchObject({ approvedBudget: 1, approvedBy: "CEO", status: "approved" })
    expect(ours.latestEvents()[0]).toMatchObject([
      { field: "status", new: "approved" },
      { field: "approvedBudget", old: null, new: 1 },
    ])
  })

  it("stays when the budget or the status changes", () => {
    const { ours, id } = createCopies()
    setField(ours, id, "status", "approved", "CEO")
    expect(isChanged(ours, id)).toBe(false)
    setField(ours, id, "budget", 2, "CFO")
    expect(isChanged(ours, id)).toBe(true)
    setField(ours, id, "status", "open", "CFO")
    setField(ours, id, "status", null, "CFO")
    expect(approvalOf(ours, id)).toMatchObject({ budget: 1, by: "CEO" })
    setField(ours, id, "budget", null, "CFO")
    expect(isChanged(ours, id)).toBe(true)
  })

  it("takes the budget of the same paste in any order of the cells", () => {
    const { ours, id } = createCopies()
    const cells = [
      { id, field: "status", value: "approved" },
      { id, field: "budget", value: 7 },
    ] as const
    changeCells(ours, cells, [newPosition({ designation: "Host", budget: 3, status: "approved" })], "pasted", "CEO")
    expect(approvalOf(ours, id)?.budget).toBe(7)
    const [added = ""] = addPositions(ours, [newPosition({ designation: "Chef", status: "approved" })], "CEO")
    expect(approvalOf(ours, added)).toMatchObject({ budget: null, by: "CEO" })
    expect(ours.row(added)).not.toHaveProperty("approvedBudget")
  })

  it("is renewed with the current budget", () => {
    const { ours, id } = createCopies()
    setField(ours, id, "status", "approved", "CEO")
    changeCells(ours, [{ id, field: "budget", value: 9 }], [], "pasted", "CFO")
    setField(ours, id, "status", "filled", "CFO")
    approvePosition(ours, id, "CEO")
    expect(ours.readPosition(id)).toMatchObject({ status: "filled", approval: { budget: 9 } })
    setField(ours, id, "status", "proposed", "CFO")
    approvePosition(ours, id, "CEO")
    expect(ours.readPosition(id)?.status).toBe("approved")
  })

  it("is undone together with its status", () => {
    const { ours, id } = createCopies()
    const act = (field: "status" | "budget", value: string | number) => {
      const before = ours.heads()
      setField(ours, id, field, value, "CEO")
      return { before, after: ours.heads(), cells: groupCells([{ id, field, value }]) }
    }
    const first = act("status", "approved")
    const { inverse } = revertPart(ours, first, "undid", "CEO", () => true)
    expect(ours.row(id)).not.toHaveProperty("approvedBy")
    expect(ours.readPosition(id)).toMatchObject({ status: null, approval: null })
    if (inverse) revertPart(ours, inverse, "redid", "CEO", () => true)
    expect(ours.readPosition(id)).toMatchObject({ status: "approved", approval: { budget: 1, by: "CEO" } })
  })

  it("stays if somebody else has changed the status since", () => {
    const { ours, theirs, id } = createCopies()
    const before = ours.heads()
    setField(ours, id, "status", "approved", "CEO")
    const part = { before, after: ours.heads(), cells: groupCells([{ id, field: "status", value: "approved" }]) }
    theirs.merge(ours)
    setField(theirs, id, "status", "open", "CFO")
    ours.merge(theirs)
    const { kept } = revertPart(ours, part, "undid", "CEO", () => false)
    expect(kept).toMatchObject([{ field: "status", reason: "changed" }])
    expect(ours.readPosition(id)).toMatchObject({ status: "open", approval: { by: "CEO" } })
  })

  it("returns with a discarded edit, and is no item of its own", () => {
    const { ours, theirs, id } = createCopies()
    setField(theirs, id, "status", "approved", "CEO")
    const heads = theirs.heads()
    ours.write((doc) => {
      delete doc.positions[id]
    })
    ours.merge(theirs)
    expect(ours.discardedEdits()).toEqual([{ field: "status", value: "approved", author: "CEO" }])
    ours.write((doc) => {
      doc.positions[id] = { designation: "Cook" }
    })
    restoreFieldValue(ours, id, "status", heads, "CFO")
    expect(ours.readPosition(id)).toMatchObject({ status: "approved", approval: { budget: 1, by: "CEO" } })
  })

  it("of a budget that is not a number records none", () => {
    const { ours, id } = createCopies()
    ours.write((doc) => Object.assign(doc.positions[id] as object, { budget: "lots", approvedBudget: 4 }))
    setField(ours, id, "status", "approved", "CEO")
    expect(ours.row(id)).not.toHaveProperty("approvedBudget")
    expect(isChangedSinceApproval(shownPosition({ budget: 4, approval: { budget: 4, at: null, by: "CEO" } }))).toBe(false)
  })
})
