import { next as A } from "@automerge/automerge/slim"
import { expect, it } from "vitest"
import { Ledger } from "../../src/history/ledger"
import { Rows } from "../../src/plan/rows"
import type { PlanDoc } from "../../src/plan/schema"

type Doc = A.Doc<PlanDoc>

const row = (designation: string, budget = 1) => ({
  designation,
  department: "Kitchen",
  budget,
  location: "Pune",
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

const edit = (doc: Doc, who: string, change: A.ChangeFn<PlanDoc>): Doc => A.change(doc, { message: `${who}: something` }, change)

function ledger(doc: Doc): Ledger {
  const read = new Ledger()
  for (const change of A.getAllChanges(doc)) read.add(A.decodeChange(change))
  return read
}

const told = (doc: Doc) =>
  ledger(doc)
    .page({}, null, 10)
    .entries.map(({ who, deeds }) => ({ who, deeds }))

it("a change is told as what stood there and what does, and who says to have made it", () => {
  const doc = edit(plan(), "CFO", (plan) => {
    const cook = plan.positions.a
    if (!cook) return
    cook.budget = 2
    cook.location = "Surat"
    cook.updatedBy = "CFO"
  })
  const set = { kind: "set", position: "a", name: "Cook" }
  expect(told(doc)[0]).toEqual({
    who: "CFO",
    deeds: [
      { ...set, field: "budget", old: 1, new: 2 },
      { ...set, field: "location", old: "Pune", new: "Surat" },
    ],
  })
  expect(told(doc)[1]).toEqual({ who: "CEO", deeds: [{ kind: "added", position: "a", name: "Cook" }] })
})

it("texts that are changed letter by letter are told as they were and are", () => {
  const doc = edit(plan(), "CFO", (plan) => A.splice(plan, ["positions", "a", "designation"], 0, 1, "B"))
  const again = edit(doc, "CFO", (plan) => A.splice(plan, ["positions", "a", "designation"], 4, 0, "ie"))
  const fields = told(again).flatMap(({ deeds }) => deeds.flatMap((deed) => (deed.kind === "set" ? [[deed.old, deed.new]] : [])))
  expect(fields).toEqual([
    ["Book", "Bookie"],
    ["Cook", "Book"],
    [null, "Plan"],
  ])
})

it("an edit that a concurrent deletion swallowed is found, with all that brings the position back", () => {
  const doc = plan()
  const deleted = edit(A.clone(doc), "CEO", (plan) => {
    delete plan.positions.a
  })
  const edited = edit(A.clone(doc), "CFO", (plan) => {
    if (plan.positions.a) plan.positions.a.budget = 7
  })
  const merged = A.merge(deleted, edited)
  const [swallowed, ...others] = ledger(merged).swallowed()
  expect(others).toEqual([])
  expect(swallowed).toMatchObject({ position: "a", field: "budget", value: 7, who: "CFO", deletedBy: "CEO" })
  expect(A.view(merged, swallowed?.heads ?? []).positions.a).toMatchObject({ designation: "Cook", budget: 7, location: "Pune" })
})

it("a swallowed edit is found until somebody who had it sees to it, also if the deletion was undone", () => {
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
    expect(ledger(both).swallowed()).toMatchObject([{ position: "a", field: "budget", value: 7, who: "CFO" }])
  }

  const seenTo: [string, A.ChangeFn<PlanDoc>][] = [
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
  for (const [what, change] of seenTo) expect(ledger(edit(A.clone(merged), "CEO", change)).swallowed(), what).toEqual([])
  const other = edit(A.clone(merged), "CEO", (plan) => {
    if (plan.positions.a) plan.positions.a.location = "Surat"
  })
  expect(ledger(other).swallowed(), "another field was set").toHaveLength(1)

  const gone = A.merge(A.clone(deleted), edited)
  const restored = edit(gone, "CEO", (plan) => {
    plan.positions.a = row("Cook", 7)
  })
  expect(ledger(restored).swallowed(), "made again by who had it").toEqual([])
})

it("a deletion is told with the heads at which the position is whole", () => {
  const edited = edit(plan(), "CFO", (plan) => {
    if (plan.positions.a) plan.positions.a.budget = 7
  })
  const deleted = edit(edited, "CEO", (plan) => {
    delete plan.positions.a
  })
  const heads = A.getHeads(edited)
  expect(told(deleted)[0]?.deeds).toEqual([{ kind: "deleted", position: "a", name: "Cook", heads }])
  expect(ledger(deleted).beforeDeletion("a")).toEqual(heads)
  expect(ledger(plan()).beforeDeletion("a")).toBeNull()
})

it("an edit that was there when somebody deleted the position is not swallowed", () => {
  const edited = edit(plan(), "CFO", (plan) => {
    if (plan.positions.a) plan.positions.a.budget = 7
  })
  const deleted = edit(edited, "CEO", (plan) => {
    delete plan.positions.a
  })
  expect(ledger(deleted).swallowed()).toEqual([])
})

it("every moment of the past is the document as it was", () => {
  let doc = plan()
  for (let budget = 2; budget < 6; budget += 1) {
    doc = edit(doc, "CFO", (plan) => {
      if (plan.positions.a) plan.positions.a.budget = budget
    })
  }
  const read = ledger(doc)
  const past = [...Array(read.length).keys()].map((place) => A.view(doc, read.headsAt(place)).positions.a?.budget)
  expect(past).toEqual([undefined, 1, 2, 3, 4, 5])
})

it("the list follows patches as if it were read anew, conflicts included", () => {
  const doc = plan()
  const rows = new Rows(doc)
  const one = edit(A.clone(doc), "CEO", (plan) => {
    if (plan.positions.a) plan.positions.a.budget = 5
    plan.positions.b = row("Waiter")
  })
  const other = edit(A.clone(doc), "CFO", (plan) => {
    if (plan.positions.a) plan.positions.a.budget = 9
  })
  const both = A.applyChanges(doc, [...A.getChangesSince(one, A.getHeads(doc)), ...A.getChangesSince(other, A.getHeads(doc))], {
    patchCallback: (patches, { after }) => rows.update(after, patches),
  })[0] as Doc
  expect(rows.get("b")?.designation).toBe("Waiter")
  const conflict = rows.get("a")?.conflicts?.budget
  expect([rows.get("a")?.budget, conflict?.losing.map(({ value }) => value)].flat().sort()).toEqual([5, 9])

  const settled = A.change(
    both,
    {
      patchCallback: (patches: A.Patch[], { after }: A.PatchInfo<PlanDoc>) => {
        rows.update(after, patches)
      },
    },
    (plan) => {
      if (plan.positions.a) plan.positions.a.budget = 9
      delete plan.positions.b
    },
  )
  expect(rows.get("a")).toMatchObject({ budget: 9, conflicts: null })
  const fresh = new Rows(settled)
  fresh.suspect(settled, Object.keys(settled.positions))
  expect(rows.list).toEqual(fresh.list)
})
