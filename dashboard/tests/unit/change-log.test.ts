import { next as A } from "@automerge/automerge/slim"
import { expect, it } from "vitest"
import { ChangeLog } from "../../src/history/change-log"
import { storedFields } from "../../src/plan/fields"
import { PositionIndex } from "../../src/plan/position-index"
import type { PlanDoc } from "../../src/plan/schema"
import { newPosition } from "./support/position"

type Doc = A.Doc<PlanDoc>

const row = (designation: string, budget = 1) => ({
  ...storedFields(newPosition({ designation, department: "Kitchen", budget, location: "Pune" })),
  createdAt: new Date(0),
  updatedAt: new Date(0),
  updatedBy: "CEO",
})

function plan(): Doc {
  const doc = A.from<Record<string, unknown>>({ name: "Plan", positions: {} }) as unknown as Doc
  return edit(doc, "CEO", (plan) => {
    plan.positions.a = row("Cook")
  })
}

const edit = (doc: Doc, author: string, change: A.ChangeFn<PlanDoc>): Doc => A.change(doc, { message: `${author}: something` }, change)

function changeLog(doc: Doc): ChangeLog {
  const read = new ChangeLog()
  for (const change of A.getAllChanges(doc)) read.add(A.decodeChange(change))
  return read
}

const history = (doc: Doc) =>
  changeLog(doc)
    .page({}, null, 10)
    .entries.map(({ author, events }) => ({ author, events }))

it("a change lists its author with old and new values", () => {
  const doc = edit(plan(), "CFO", (plan) => {
    const cook = plan.positions.a
    if (!cook) return
    cook.budget = 2
    cook.location = "Surat"
    cook.updatedBy = "CFO"
  })
  const set = { kind: "set", position: "a", name: "Cook" }
  expect(history(doc)[0]).toEqual({
    author: "CFO",
    events: [
      { ...set, field: "budget", old: 1, new: 2 },
      { ...set, field: "location", old: "Pune", new: "Surat" },
    ],
  })
  expect(history(doc)[1]).toEqual({ author: "CEO", events: [{ kind: "added", position: "a", name: "Cook" }] })
})

it("spliced texts are listed as whole values", () => {
  const doc = edit(plan(), "CFO", (plan) => A.splice(plan, ["positions", "a", "designation"], 0, 1, "B"))
  const again = edit(doc, "CFO", (plan) => A.splice(plan, ["positions", "a", "designation"], 4, 0, "ie"))
  const fields = history(again).flatMap(({ events }) => events.flatMap((event) => (event.kind === "set" ? [[event.old, event.new]] : [])))
  expect(fields).toEqual([
    ["Book", "Bookie"],
    ["Cook", "Book"],
    [null, "Plan"],
  ])
})

it("an edit discarded by a concurrent deletion is found", () => {
  const doc = plan()
  const deleted = edit(A.clone(doc), "CEO", (plan) => {
    delete plan.positions.a
  })
  const edited = edit(A.clone(doc), "CFO", (plan) => {
    if (plan.positions.a) plan.positions.a.budget = 7
  })
  const merged = A.merge(deleted, edited)
  const [discarded, ...others] = changeLog(merged).discardedEdits()
  expect(others).toEqual([])
  expect(discarded).toMatchObject({ position: "a", field: "budget", value: 7, author: "CFO", deletedBy: "CEO" })
  expect(A.view(merged, discarded?.heads ?? []).positions.a).toMatchObject({ designation: "Cook", budget: 7, location: "Pune" })
})

it("a discarded edit is listed until a user handles it", () => {
  const doc = plan()
  const deleted = edit(A.clone(doc), "CEO", (plan) => {
    delete plan.positions.a
  })
  const undone = edit(A.clone(deleted), "CEO", (plan) => {
    plan.positions.a = row("Cook")
  })
  const edited = edit(A.clone(doc), "CFO", (plan) => {
    if (plan.positions.a) plan.positions.a.budget = 7
  })
  const merged = A.merge(A.clone(undone), edited)
  const arrivedFirst = A.merge(A.clone(edited), undone)
  for (const both of [merged, arrivedFirst]) {
    expect(both.positions.a?.budget).toBe(1)
    expect(changeLog(both).discardedEdits()).toMatchObject([{ position: "a", field: "budget", value: 7, author: "CFO" }])
  }

  const handled: [string, A.ChangeFn<PlanDoc>][] = [
    [
      "set again",
      (plan) => {
        if (plan.positions.a) plan.positions.a.budget = 7
      },
    ],
    [
      "deleted again",
      (plan) => {
        delete plan.positions.a
      },
    ],
  ]
  for (const [what, change] of handled) expect(changeLog(edit(A.clone(merged), "CEO", change)).discardedEdits(), what).toEqual([])
  const other = edit(A.clone(merged), "CEO", (plan) => {
    if (plan.positions.a) plan.positions.a.location = "Surat"
  })
  expect(changeLog(other).discardedEdits(), "another field was set").toHaveLength(1)

  const gone = A.merge(A.clone(deleted), edited)
  const restored = edit(gone, "CEO", (plan) => {
    plan.positions.a = row("Cook", 7)
  })
  expect(changeLog(restored).discardedEdits(), "recreated by a user who had the edit").toEqual([])
})

it("a deletion has the heads of the complete position", () => {
  const edited = edit(plan(), "CFO", (plan) => {
    if (plan.positions.a) plan.positions.a.budget = 7
  })
  const deleted = edit(edited, "CEO", (plan) => {
    delete plan.positions.a
  })
  const heads = A.getHeads(edited)
  expect(history(deleted)[0]?.events).toEqual([{ kind: "deleted", position: "a", name: "Cook", heads }])
  expect(changeLog(deleted).headsBeforeDeletion("a")).toEqual(heads)
  expect(changeLog(plan()).headsBeforeDeletion("a")).toBeNull()
})

it("an edit before the deletion is not discarded", () => {
  const edited = edit(plan(), "CFO", (plan) => {
    if (plan.positions.a) plan.positions.a.budget = 7
  })
  const deleted = edit(edited, "CEO", (plan) => {
    delete plan.positions.a
  })
  expect(changeLog(deleted).discardedEdits()).toEqual([])
})

it("the heads of each change give the past document", () => {
  let doc = plan()
  for (let budget = 2; budget < 6; budget += 1) {
    doc = edit(doc, "CFO", (plan) => {
      if (plan.positions.a) plan.positions.a.budget = budget
    })
  }
  const read = changeLog(doc)
  const past = [...Array(read.length).keys()].map((place) => A.view(doc, read.headsAt(place)).positions.a?.budget)
  expect(past).toEqual([undefined, 1, 2, 3, 4, 5])
})

it("patches and a full read give the same list", () => {
  const doc = plan()
  const rows = new PositionIndex(doc)
  const one = edit(A.clone(doc), "CEO", (plan) => {
    if (plan.positions.a) plan.positions.a.budget = 5
    plan.positions.b = row("Waiter")
  })
  const other = edit(A.clone(doc), "CFO", (plan) => {
    if (plan.positions.a) plan.positions.a.budget = 9
  })
  const both = A.applyChanges(doc, [...A.getChangesSince(one, A.getHeads(doc)), ...A.getChangesSince(other, A.getHeads(doc))], {
    patchCallback: (patches, { after }) => rows.applyPatches(after, patches),
  })[0] as Doc
  expect(rows.get("b")?.designation).toBe("Waiter")
  const conflict = rows.get("a")?.conflicts?.budget
  expect([rows.get("a")?.budget, conflict?.losing.map(({ value }) => value)].flat().sort()).toEqual([5, 9])

  const resolved = A.change(
    both,
    {
      patchCallback: (patches: A.Patch[], { after }: A.PatchInfo<PlanDoc>) => {
        rows.applyPatches(after, patches)
      },
    },
    (plan) => {
      if (plan.positions.a) plan.positions.a.budget = 9
      delete plan.positions.b
    },
  )
  expect(rows.get("a")).toMatchObject({ budget: 9, conflicts: null })
  const fresh = new PositionIndex(resolved)
  fresh.checkConflicts(resolved, Object.keys(resolved.positions))
  expect(rows.list).toEqual(fresh.list)
})
