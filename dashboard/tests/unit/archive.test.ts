import { expect, it } from "vitest"
import { isArchived, setArchived } from "../../src/plan/archive"
import { setField } from "../../src/plan/edit"
import { type Copy, createCopies } from "./support/copy"

const sync = (one: Copy, other: Copy) => {
  one.merge(other)
  other.merge(one)
}

it("a plan is archived and restored, with both in the history", () => {
  const { ours } = createCopies()
  setArchived(ours, true, "CEO")
  expect(isArchived(ours.doc())).toBe(true)
  setArchived(ours, false, "CFO")
  expect(ours.doc()).not.toHaveProperty("archived")
  expect(ours.latestEvents(2)).toEqual([
    [expect.objectContaining({ field: "archived", old: "true", new: null })],
    [expect.objectContaining({ field: "archived", old: null, new: "true" })],
  ])
})

it("archiving wins over restoring at the same time", () => {
  const { ours, theirs } = createCopies()
  setArchived(ours, true, "CEO")
  sync(ours, theirs)
  setArchived(ours, false, "CEO")
  setArchived(theirs, false, "CFO")
  setArchived(theirs, true, "CFO")
  sync(ours, theirs)
  expect([ours, theirs].map((copy) => isArchived(copy.doc()))).toEqual([true, true])
  // One restore removes the values of both.
  setArchived(ours, false, "CEO")
  expect(isArchived(ours.doc())).toBe(false)
})

it("an edit that is concurrent with the archiving is kept", () => {
  const { id, ours, theirs } = createCopies()
  setArchived(ours, true, "CEO")
  setField(theirs, id, "budget", 7, "CFO")
  sync(ours, theirs)
  expect(isArchived(theirs.doc())).toBe(true)
  expect(ours.readPosition(id)?.budget).toBe(7)
})

it("other values do not archive a plan", () => {
  const { ours } = createCopies()
  for (const value of [false, "yes", 1, {}]) {
    ours.write((doc) => {
      doc.archived = value
    })
    expect(isArchived(ours.doc())).toBe(false)
  }
  setArchived(ours, true, "CEO")
  expect(isArchived(ours.doc())).toBe(true)
})
