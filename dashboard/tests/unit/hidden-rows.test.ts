import { next as A } from "@automerge/automerge/slim"
import { expect, it } from "vitest"
import { addPositions, hiddenRows, mergeHiddenRows } from "../../src/plan/edit"
import { type PlanDoc, rowsOf } from "../../src/plan/schema"
import { Copy } from "./support/copy"
import { newPosition } from "./support/position"

const position = (designation: string) => newPosition({ designation, budget: 1 })

it("rows of a concurrent list can be merged", () => {
  const empty = A.from<Record<string, unknown>>({ name: "Plan" }) as unknown as A.Doc<PlanDoc>
  const [ours, theirs] = [new Copy(empty), new Copy(A.clone(empty))]
  addPositions(ours, [position("Cook")], "CEO")
  addPositions(theirs, [position("Waiter")], "CFO")
  ours.merge(theirs)
  expect(hiddenRows(ours)).toHaveLength(1)
  mergeHiddenRows(ours, "CEO")
  expect(hiddenRows(ours)).toEqual([])
  const names = Object.keys(rowsOf(ours.doc())).map((id) => ours.readPosition(id)?.designation)
  expect(names.sort()).toEqual(["Cook", "Waiter"])
})
