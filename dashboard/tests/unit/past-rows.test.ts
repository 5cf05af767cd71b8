import { next as A } from "@automerge/automerge/slim"
import { expect, it } from "vitest"
import { addPositions, deletePositions, setField } from "../../src/plan/edit"
import { readRowsAt } from "../../src/plan/past-rows"
import { readPosition, rowsOf } from "../../src/plan/schema"
import { createCopies } from "./support/copy"
import { newPosition } from "./support/position"

it("rows are the same whether few or all of them are read", () => {
  const { id, ours, theirs } = createCopies()
  const ids = addPositions(
    ours,
    Array.from({ length: 30 }, (_, at) => newPosition({ designation: `Cook ${at}`, department: "Kitchen", budget: at })),
    "CEO",
  )
  setField(theirs, id, "budget", 7, "CFO")
  setField(ours, id, "budget", 8, "CEO")
  ours.merge(theirs)
  const heads = A.getHeads(ours.doc())
  const then = new Map(Object.entries(rowsOf(ours.doc())).map(([key, row]) => [key, readPosition(key, row)]))
  deletePositions(ours, ids.slice(0, 10), "10 positions", "CEO")
  const [later = ""] = addPositions(ours, [newPosition({ designation: "Waiter" })], "CEO")
  for (const other of ids.slice(10)) setField(ours, other, "location", "Goa", "CEO")

  const all = [id, ...ids, later, "never"]
  const together = readRowsAt(ours.doc(), all, heads)
  expect([...together.keys()].sort()).toEqual([...then.keys()].sort())
  for (const key of all) {
    const alone = readRowsAt(ours.doc(), [key], heads)
    expect(readPosition(key, alone.get(key))).toEqual(then.get(key) ?? null)
    expect(readPosition(key, together.get(key))).toEqual(then.get(key) ?? null)
  }
})
