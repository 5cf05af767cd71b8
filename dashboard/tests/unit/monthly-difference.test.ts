import { next as A } from "@automerge/automerge/slim"
import { expect, test } from "vitest"
import { addPositions, deletePositions, setField } from "../../src/plan/edit"
import { monthlyDifference } from "../../src/plan/monthly-difference"
import type { PlanDoc } from "../../src/plan/schema"
import { Copy } from "./support/copy"
import { newPosition } from "./support/position"

const budgets = (copy: Copy, ids: readonly string[], base: readonly string[]) =>
  monthlyDifference(copy.doc(), ids, base, "2027-04")?.map(({ difference }) => difference)

test("months differ by what the scenario adds, changes and deletes", () => {
  const copy = new Copy(A.from({ positions: {} }) as unknown as A.Doc<PlanDoc>)
  const [kept = "", gone = ""] = addPositions(copy, [newPosition({ budget: 12 }), newPosition({ budget: 24 })], "CEO")
  const base = A.getHeads(copy.doc())
  expect(budgets(copy, [kept, gone], base)).toEqual(Array(12).fill(0))
  setField(copy, kept, "end", "2027-06", "CEO")
  deletePositions(copy, [gone], "gone", "CEO")
  const [added = ""] = addPositions(copy, [newPosition({ budget: 36, start: "2027-05" })], "CEO")
  expect(budgets(copy, [kept, gone, added], base)).toEqual([-2, 1, 1, ...Array(9).fill(0)])
})

test("an unknown base has no differences", () => {
  const copy = new Copy(A.from({ positions: {} }) as unknown as A.Doc<PlanDoc>)
  expect(budgets(copy, [], ["ab".repeat(32)])).toBeUndefined()
})
