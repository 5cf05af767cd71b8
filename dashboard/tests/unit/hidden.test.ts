import { next as A } from "@automerge/automerge/slim"
import { expect, it } from "vitest"
import { add, hiddenRows, showHidden } from "../../src/plan/edit"
import { type PlanDoc, rowsOf } from "../../src/plan/schema"
import { Copy } from "./support/copy"

const position = (designation: string) => ({ designation, department: "", budget: 1, location: "" })

it("rows of a second list can be added to the shown one", () => {
  const empty = A.from<Record<string, unknown>>({ name: "Plan" }) as unknown as A.Doc<PlanDoc>
  const [ours, theirs] = [new Copy(empty), new Copy(A.clone(empty))]
  add(ours, [position("Cook")], "CEO")
  add(theirs, [position("Waiter")], "CFO")
  ours.hear(theirs)
  expect(hiddenRows(ours)).toHaveLength(1)
  showHidden(ours, "CEO")
  expect(hiddenRows(ours)).toEqual([])
  const names = Object.keys(rowsOf(ours.doc())).map((id) => ours.look(id)?.designation)
  expect(names.sort()).toEqual(["Cook", "Waiter"])
})
