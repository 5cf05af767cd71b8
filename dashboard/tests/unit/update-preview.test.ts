/** What merging newer changes of a plan into a scenario changes. */
import { next as A } from "@automerge/automerge/slim"
import { describe, expect, it } from "vitest"
import { summarizeMerge } from "../../src/plan/comparison"
import { addPositions, deletePositions, setField, updateSettings } from "../../src/plan/edit"
import { changesAdded, commonHeads } from "../../src/plan/relatives"
import { previewUpdate, type UpdatePreview } from "../../src/plan/update-preview"
import { type Copy, createCopies } from "./support/copy"
import { newPosition } from "./support/position"

const YEAR = "2027-04"

/** Previews the update of a scenario, and checks that merging the same changes gives the previewed heads. */
function preview(scenario: Copy, plan: Copy): UpdatePreview {
  const [doc, other] = [scenario.doc(), plan.doc()]
  const result = previewUpdate(doc, changesAdded(doc, other), commonHeads(doc, other), YEAR)
  if (!result) throw new Error("the scenario has the heads")
  return result
}

const counts = (result: UpdatePreview) => {
  const { added, changed, deleted } = summarizeMerge(result.comparison, null)
  return { added, changed, deleted }
}

describe("an update from the plan", () => {
  it("brings what only the plan has changed", () => {
    const { id, ours: plan, theirs: scenario } = createCopies()
    const [added = ""] = addPositions(plan, [newPosition({ designation: "Host", department: "Hall", budget: 2 })], "CEO")
    setField(plan, id, "budget", 3, "CEO")
    setField(scenario, id, "location", "Goa", "CFO")
    const result = preview(scenario, plan)
    expect(counts(result)).toEqual({ added: 1, changed: 1, deleted: 0 })
    expect(result.conflicts).toEqual([])
    expect(result.comparison.positions.find((position) => position.id === id)?.fields).toMatchObject([
      { field: "budget", base: 1, scenario: 3 },
    ])
    // The preview has changed nothing.
    expect(scenario.values(id, "budget")).toEqual([1])
    scenario.merge(plan)
    expect(scenario.values(id, "budget")).toEqual([3])
    expect(scenario.values(id, "location")).toEqual(["Goa"])
    expect(scenario.readPosition(added)).not.toBeNull()
  })

  it("names conflicts, whichever value is shown", () => {
    const { id, ours: plan, theirs: scenario } = createCopies()
    setField(plan, id, "budget", 3, "CEO")
    setField(scenario, id, "budget", 4, "CFO")
    for (const [one, other] of [[plan, scenario] as const, [scenario, plan] as const])
      expect(preview(one, other).conflicts).toEqual([{ id, designation: "Cook", fields: ["budget"] }])
    // Equal values are no conflict, and a conflict that was there before is not new.
    scenario.merge(plan)
    setField(plan, id, "location", "Goa", "CEO")
    setField(scenario, id, "location", "Goa", "CFO")
    expect(preview(scenario, plan).conflicts).toEqual([])
  })

  it("names conflicts of settings", () => {
    const { ours: plan, theirs: scenario } = createCopies()
    updateSettings(plan, { totalBudget: 10 }, "CEO")
    updateSettings(scenario, { totalBudget: 11 }, "CFO")
    expect(preview(scenario, plan).settingConflicts).toEqual(["totalBudget"])
  })

  it("names changed positions that the plan has deleted", () => {
    const { id, ours: plan, theirs: scenario } = createCopies()
    const [other = ""] = addPositions(plan, [newPosition({ designation: "Host", department: "Hall", budget: 2 })], "CEO")
    scenario.merge(plan)
    deletePositions(plan, [id, other], "both", "CEO")
    setField(scenario, id, "budget", 4, "CFO")
    const result = preview(scenario, plan)
    expect(counts(result)).toEqual({ added: 0, changed: 0, deleted: 2 })
    expect(result.losses).toEqual([id])
  })

  it("is empty if the scenario has everything", () => {
    const { ours: plan, theirs: scenario } = createCopies()
    addPositions(scenario, [newPosition({ designation: "Host", department: "Hall", budget: 2 })], "CFO")
    expect(changesAdded(scenario.doc(), plan.doc())).toEqual([])
    expect(commonHeads(scenario.doc(), plan.doc())).toEqual(A.getHeads(plan.doc()))
    expect(counts(preview(scenario, plan))).toEqual({ added: 0, changed: 0, deleted: 0 })
  })
})
