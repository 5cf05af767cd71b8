/** Budgets of departments, and saved views. */
import { next as A } from "@automerge/automerge/slim"
import { expect, test } from "vitest"
import { departmentBudgetPlace, departmentUses, readDepartmentBudgets, setDepartmentBudgets } from "../../src/plan/department-budgets"
import { resolvePlace } from "../../src/plan/root-map"
import { addSavedView, deleteSavedView, readSavedViews, setSavedView } from "../../src/plan/saved-views"
import { revertPart } from "../../src/plan/undo"
import { type Copy, createCopies } from "./support/copy"
import { shownPosition } from "./support/position"

const amounts = (copy: Copy) => Object.fromEntries(readDepartmentBudgets(copy.doc()).map(({ name, amount }) => [name, amount]))
const mergeAll = (one: Copy, other: Copy) => {
  one.merge(other)
  other.merge(one)
}

test("budgets that two people set offline are both kept", () => {
  const { ours, theirs } = createCopies()
  setDepartmentBudgets(ours, [{ name: "Engineering", amount: 400 }], "CFO", ours.heads())
  setDepartmentBudgets(theirs, [{ name: "Sales", amount: 90.5 }], "CEO", theirs.heads())
  mergeAll(ours, theirs)
  expect(amounts(ours)).toEqual({ Engineering: 400, Sales: 90.5 })
  expect(amounts(theirs)).toEqual(amounts(ours))
})

test("two budgets for one department are a conflict to resolve", () => {
  const { ours, theirs } = createCopies()
  setDepartmentBudgets(ours, [{ name: "Sales", amount: 1 }], "CFO", ours.heads())
  setDepartmentBudgets(theirs, [{ name: "Sales", amount: 2 }], "CEO", theirs.heads())
  mergeAll(ours, theirs)
  const [budget] = readDepartmentBudgets(ours.doc())
  const values = [budget?.amount, ...(budget?.conflict?.losing.map(({ value }) => value) ?? [])]
  expect(values.toSorted()).toEqual([1, 2])
  const losing = budget?.conflict?.losing[0]
  resolvePlace(ours, departmentBudgetPlace("Sales"), losing?.operation ?? "", "CFO: resolved")
  expect(readDepartmentBudgets(ours.doc())).toEqual([{ name: "Sales", amount: losing?.value, mistyped: null, conflict: null }])
})

test("a budget set while the dialog was open becomes a conflict", () => {
  const { ours } = createCopies()
  // The map did not exist yet when the dialog was opened.
  const opened = ours.heads()
  setDepartmentBudgets(ours, [{ name: "Sales", amount: 1 }], "CEO", ours.heads())
  expect(setDepartmentBudgets(ours, [{ name: "sales ", amount: 2 }], "CFO", opened)).toEqual({
    places: [departmentBudgetPlace("Sales")],
    isContested: true,
  })
  expect(readDepartmentBudgets(ours.doc())[0]?.conflict).not.toBeNull()
})

test("a budget is removed, and others of the map stay", () => {
  const { ours } = createCopies()
  ours.write((doc) => {
    doc.departmentBudgets = { Sales: 5, Ops: "some", "": 3, nested: { a: 1 } }
  })
  setDepartmentBudgets(ours, [{ name: "Sales", amount: null }], "CFO", ours.heads())
  expect(readDepartmentBudgets(ours.doc()).map(({ name, amount, mistyped }) => [name, amount, mistyped])).toEqual([
    ["", 3, null],
    ["Ops", null, "some"],
    ["nested", null, '{"a":1}'],
  ])
})

test("departments are compared without case and spacing", () => {
  const positions = [
    shownPosition({ id: "a", department: "Sales", budget: 4 }),
    shownPosition({ id: "b", department: " sales", budget: 2 }),
    shownPosition({ id: "c", department: "", budget: 1 }),
  ]
  const budget = (name: string, amount: number) => ({ name, amount, mistyped: null, conflict: null })
  const uses = departmentUses(positions, [budget("SALES", 5), budget("sales", 7), budget("Legal", 3)])
  expect(uses.map(({ name, used, left, count, duplicates }) => [name, used, left, count, duplicates.length])).toEqual([
    ["Legal", 0, 3, 0, 0],
    ["Sales", 6, -1, 2, 1],
    ["", 1, null, 1, 0],
  ])
})

test("saved views are changed field by field", () => {
  const { ours, theirs } = createCopies()
  const id = addSavedView(ours, "Pune", "filter.location=pune", "CFO")
  mergeAll(ours, theirs)
  expect(setSavedView(ours, id, "name", "Pune only", "CFO", ours.heads())).toBe(false)
  expect(setSavedView(theirs, id, "view", "group=department", "CEO", theirs.heads())).toBe(false)
  const other = addSavedView(theirs, "All", "", "CEO")
  mergeAll(ours, theirs)
  expect(readSavedViews(ours.doc()).map(({ id, name, view, conflicts }) => ({ id, name, view, conflicts }))).toEqual([
    { id: other, name: "All", view: "", conflicts: null },
    { id, name: "Pune only", view: "group=department", conflicts: null },
  ])
  deleteSavedView(ours, other, "All", "CFO")
  expect(readSavedViews(ours.doc())).toHaveLength(1)
})

test("a view that two people rename has both names", () => {
  const { ours, theirs } = createCopies()
  const id = addSavedView(ours, "Pune", "", "CFO")
  mergeAll(ours, theirs)
  setSavedView(ours, id, "name", "A", "CFO", ours.heads())
  setSavedView(theirs, id, "name", "B", "CEO", theirs.heads())
  mergeAll(ours, theirs)
  const [view] = readSavedViews(ours.doc())
  expect([view?.name, view?.conflicts?.name?.losing[0]?.value].toSorted()).toEqual(["A", "B"])
  expect(A.getConflicts(ours.doc(), "views" as never)).toBeUndefined()
})

test("the history lists budgets and views, and no shared map", () => {
  const { ours } = createCopies()
  setDepartmentBudgets(ours, [{ name: "Sales", amount: 5 }], "CFO", ours.heads())
  setDepartmentBudgets(ours, [{ name: "Sales", amount: 6 }], "CFO", ours.heads())
  const id = addSavedView(ours, "Pune", "", "CFO")
  const entries = ours.changeLog().page({}, null, 9).entries
  expect(entries.map(({ author, events }) => [author, ...events.map((event) => ("field" in event ? event.field : event.kind))])).toEqual([
    ["CFO", `views/${id}`],
    ["CFO", "departmentBudgets/Sales"],
    ["CFO", "departmentBudgets/Sales"],
    ["CEO", "added"],
    [expect.any(String)],
  ])
  expect(entries[1]?.events).toMatchObject([{ kind: "set", old: 5, new: 6 }])
})

test("undo takes back one's own budget, and keeps what others set since", () => {
  const { ours, theirs } = createCopies()
  setDepartmentBudgets(ours, [{ name: "Sales", amount: 5 }], "CFO", ours.heads())
  mergeAll(ours, theirs)
  const before = ours.heads()
  const { places } = setDepartmentBudgets(
    ours,
    [
      { name: "Sales", amount: null },
      { name: "HR", amount: 3 },
    ],
    "CFO",
    before,
  )
  const part = { before, after: ours.heads(), places }
  mergeAll(ours, theirs)
  setDepartmentBudgets(theirs, [{ name: "HR", amount: 4 }], "CEO", theirs.heads())
  mergeAll(ours, theirs)
  const isOwn = (actor: string) => A.getActorId(ours.doc()) === actor
  const { kept, inverse } = revertPart(ours, part, "undid it", "CFO", isOwn)
  expect(kept).toMatchObject([{ place: departmentBudgetPlace("HR"), reason: "changed" }])
  expect(amounts(ours)).toEqual({ Sales: 5, HR: 4 })
  expect(inverse?.places).toEqual([departmentBudgetPlace("Sales")])
})
