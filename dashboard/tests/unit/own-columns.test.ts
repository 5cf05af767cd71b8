/** Columns that the people of a plan have added. */
import { next as A } from "@automerge/automerge/slim"
import { describe, expect, test } from "vitest"
import { bulkEdit } from "../../src/grid/bulk-edit"
import { clearCells, fillCells, pasteCells } from "../../src/grid/cell-changes"
import { toRect } from "../../src/grid/range"
import { PlanColumns } from "../../src/plan/columns"
import { labelOf, showValue } from "../../src/plan/comparison"
import { duplicatePlan } from "../../src/plan/duplicate"
import { addPositions, changeCells, setField } from "../../src/plan/edit"
import { readExtraFields } from "../../src/plan/extra-fields"
import { type Field, keyOf, type OwnKey } from "../../src/plan/fields"
import { displayValue } from "../../src/plan/format"
import { groupRows } from "../../src/plan/grouping"
import { parseInput } from "../../src/plan/input"
import {
  addColumn,
  type ColumnInput,
  columnPlace,
  moveColumns,
  type PlanColumn,
  readColumns,
  setColumn,
  setColumnDeleted,
  titleProblem,
} from "../../src/plan/own-columns"
import { PositionIndex } from "../../src/plan/position-index"
import { filterPositions, sortPositions } from "../../src/plan/query"
import { printedFields } from "../../src/plan/report"
import { resolvePlace } from "../../src/plan/root-map"
import { type Position, shownValue } from "../../src/plan/schema"
import { groupCells, revertPart } from "../../src/plan/undo"
import { choices, planColumn } from "./support/columns"
import { type Copy, createCopies } from "./support/copy"
import { newPosition, shownPosition } from "./support/position"

const settings = { name: "", currency: "INR", unit: 100_000, totalBudget: null, yearStart: null }
const text: ColumnInput = { title: "Grade", type: "text", options: [] }
const mergeAll = (one: Copy, other: Copy) => {
  one.merge(other)
  other.merge(one)
}
const column = (copy: Copy, key: string) => readColumns(copy.doc()).find((other) => other.key === key) as PlanColumn
const labels = (copy: Copy) => new PlanColumns(readColumns(copy.doc())).own.map(({ label }) => label)

describe("the map of columns", () => {
  test("columns that two people add at once both remain", () => {
    const { ours, theirs } = createCopies()
    addColumn(ours, text, 8, "CFO")
    addColumn(theirs, { title: "Cost centre", type: "choice", options: ["B", "A"] }, 8, "CEO")
    mergeAll(ours, theirs)
    expect(labels(ours).toSorted()).toEqual(["Cost centre", "Grade"])
    expect(labels(theirs)).toEqual(labels(ours))
    expect(A.getConflicts(ours.doc(), "columns" as never)).toBeUndefined()
    const [choice] = readColumns(ours.doc()).filter(({ kind }) => kind === "choice")
    expect(choice).toMatchObject({ order: 8, isDeleted: false, ...choices("B", "A") })
  })

  test("names that every object inherits are no columns and no rows", () => {
    const { id, ours } = createCopies()
    ours.write((doc) => {
      doc.columns = { constructor: { title: "C", type: "text", order: 9 }, valueOf: { title: "V", type: "number", order: 10 } }
      doc.positions.constructor = { designation: "Cook" } as never
    })
    expect(readColumns(ours.doc())).toEqual([])
    const index = new PositionIndex(ours.doc())
    expect(index.list.map((position) => position.id).toSorted()).toEqual([id, "constructor"].toSorted())
    ours.write((doc) => {
      Reflect.deleteProperty(doc.positions, "constructor")
    })
    index.applyPatches(ours.doc(), [{ action: "del", path: ["positions", "constructor"] }])
    expect(index.list.map((position) => position.id)).toEqual([id])
  })

  test("two names are a conflict to resolve, a name and options are not", () => {
    const { ours, theirs } = createCopies()
    const key = addColumn(ours, { title: "Grade", type: "choice", options: ["A"] }, 8, "CFO")
    mergeAll(ours, theirs)
    const [mine, other] = [column(ours, key), column(theirs, key)]
    setColumn(ours, mine, { title: "Level", type: "choice", options: ["A", "B"] }, "CFO", ours.heads())
    setColumn(theirs, other, { title: "Band", type: "choice", options: ["A", "C"] }, "CEO", theirs.heads())
    mergeAll(ours, theirs)
    const merged = column(ours, key)
    expect([merged.label, merged.conflicts?.title?.losing[0]?.value].toSorted()).toEqual(["Band", "Level"])
    expect(merged.kind === "choice" && merged.choices.map(({ value }) => value).toSorted()).toEqual(["A", "B", "C"])
    resolvePlace(ours, columnPlace(key, "title"), merged.conflicts?.title?.winner ?? "", "CFO: resolved")
    expect(column(ours, key).conflicts).toBeNull()
  })

  test("a name that was changed while the dialog was open becomes a conflict", () => {
    const { ours } = createCopies()
    const key = addColumn(ours, text, 8, "CFO")
    const [opened, before] = [ours.heads(), column(ours, key)]
    setColumn(ours, before, { ...text, title: "Band" }, "CEO", ours.heads())
    expect(setColumn(ours, before, { ...text, title: "Level" }, "CFO", opened)).toEqual({
      places: [columnPlace(key, "title")],
      isContested: true,
    })
    expect(column(ours, key).conflicts?.title).toBeDefined()
  })

  test("a deleted column keeps its values, and is restored with them", () => {
    const { id, ours } = createCopies()
    const key = addColumn(ours, text, 8, "CFO")
    setField(ours, id, key, "A", "CFO")
    setColumnDeleted(ours, column(ours, key), true, "CFO")
    expect([labels(ours), column(ours, key).isDeleted, ours.row(id)[key]]).toEqual([[], true, "A"])
    // Without its column, the value is a field like those of other programs.
    expect(readExtraFields(ours.doc(), [id], new Set()).get(id)).toEqual({ [key]: "A" })
    setColumnDeleted(ours, column(ours, key), false, "CFO")
    expect([labels(ours), ours.values(id, key)]).toEqual([["Grade"], ["A"]])
    expect(readExtraFields(ours.doc(), [id], new Set([key])).get(id)).toBeUndefined()
  })

  test("entries of other programs are read as far as they are columns", () => {
    const { ours } = createCopies()
    ours.write((doc) => {
      doc.columns = {
        "cost/centre": { title: "Cost centre", type: "choice", options: ["A", "A", 3] },
        plain: { title: "", type: "text" },
        later: { title: "Person", type: "person" },
        budget: { title: "Mine", type: "text" },
        comments: { title: "Notes", type: "text" },
        text: "no map",
      }
    })
    expect(readColumns(ours.doc()).map(({ key, label, kind }) => [key, label, kind])).toEqual([
      ["cost/centre", "Cost centre", "choice"],
      ["later", "Person", "unknown"],
      ["plain", "plain", "text"],
    ])
    const choice = column(ours, "cost/centre")
    expect(choice).toMatchObject(choices("A"))
    // The list becomes a map with the first change of the options.
    setColumn(ours, choice, { title: "Cost centre", type: "choice", options: ["B", "A"] }, "CFO", ours.heads())
    expect(column(ours, "cost/centre")).toMatchObject(choices("B", "A"))
    const { later } = (ours.doc() as unknown as { columns: Record<string, unknown> }).columns
    expect(later).toEqual({ title: "Person", type: "person" })
  })

  test("a title is not empty, not repeated and not the key of a field", () => {
    expect(titleProblem(" ", [])).toBe("Enter a name.")
    expect(titleProblem("grade ", ["Grade"])).toContain("There is a column named")
    expect([titleProblem("budget", []), titleProblem("ID", [])].every((problem) => problem?.includes("the name of a field"))).toBe(true)
    expect(titleProblem("Team", ["Department"])).toBeNull()
    expect(titleProblem("Constructor", [])).toBeNull()
  })

  test("a copy of a plan has its columns and their values", () => {
    const { id, ours } = createCopies()
    const key = addColumn(ours, text, 8, "CFO")
    setField(ours, id, key, "A", "CFO")
    const copy = duplicatePlan(ours.doc(), { id: "x", name: "Copy", author: "CFO" })
    expect(readColumns(copy)).toEqual(readColumns(ours.doc()))
    expect(copy.positions[id]).toMatchObject({ [key]: "A" })
  })
})

describe("values", () => {
  const own = [
    planColumn("note", { order: 8 }),
    planColumn("count", { kind: "number", order: 9 }),
    planColumn("due", { kind: "date", order: 10 }),
    planColumn("grade", { ...choices("B", "A"), order: 11 }),
    planColumn("person", { kind: "unknown", order: 12 }),
  ]
  const columns = new PlanColumns(own)
  const field = (key: string) => columns.field(key) as Field
  const [note, count, due, grade, person] = own.map(({ key }) => key) as [OwnKey, OwnKey, OwnKey, OwnKey, OwnKey]

  test.each<[string, string, unknown]>([
    ["note", " any text ", "any text"],
    ["note", "=1+1", "=1+1"],
    ["note", " ", null],
    ["count", "-1,234.5", -1234.5],
    ["count", "=2*(3-5)", -4],
    ["count", "", null],
    ["due", "15 Jun 2027", "2027-06-15"],
    ["grade", "b", "B"],
    ["grade", "-", null],
    ["person", "", null],
  ])("in the column %s, %j is %j", (key, typed, value) => expect(parseInput(field(key), typed, settings)).toEqual({ value }))

  test.each([
    ["count", "12 lakh", "“12 lakh” is not a number."],
    ["count", "many", "“many” is not a number."],
    ["due", "soon", "“soon” is not a date. Enter a date, such as 2027-06-15 or 15 Jun 2027."],
    ["grade", "C", "“C” is not an option of “Grade”. Choose B or A."],
    ["person", "Anna", "This version of the page does not know the type of the column."],
  ])("the column %s refuses %j with a reason", (key, typed, problem) =>
    expect(parseInput(field(key), typed, settings)).toEqual({ problem }),
  )

  test("values of another type are shown as they are, and marked", () => {
    const { id, ours } = createCopies()
    ours.write((doc) => {
      doc.columns = {
        count: { title: "Count", type: "number" },
        due: { title: "Due", type: "date" },
        grade: { title: "Grade", type: "choice", options: { A: 1 } },
        note: { title: "Note", type: "text" },
      }
      Object.assign(doc.positions[id] ?? {}, { count: "many", due: "2027-02-30", grade: "Z", note: { a: 1 } })
    })
    const position = ours.readPosition(id) as Position
    expect(position.own).toBeUndefined()
    expect(position.mistyped).toEqual({ count: "many", due: "2027-02-30", grade: "Z", note: '{"a":1}' })
    expect(shownValue(position, "count" as OwnKey)).toBe("many")
  })

  test("the index reads all rows again when a type changes", () => {
    const { id, ours } = createCopies()
    const key = addColumn(ours, text, 8, "CFO")
    setField(ours, id, key, "12", "CFO")
    const index = new PositionIndex(ours.doc())
    const before = index.columns
    expect([index.checkColumns(ours.doc()), index.columns === before]).toEqual([false, true])
    setColumn(ours, column(ours, key), { ...text, type: "number" }, "CFO", ours.heads())
    expect(index.checkColumns(ours.doc())).toBe(true)
    expect(index.get(id)?.mistyped).toEqual({ [key]: "12" })
  })

  test("two people who set one value make a conflict, and undo keeps the other's", () => {
    const { id, ours, theirs } = createCopies()
    const key = addColumn(ours, text, 8, "CFO")
    mergeAll(ours, theirs)
    const before = ours.heads()
    setField(ours, id, key, "A", "CFO")
    const after = ours.heads()
    setField(theirs, id, key, "B", "CEO")
    mergeAll(ours, theirs)
    expect(ours.values(id, key).toSorted()).toEqual(["A", "B"])
    const cells = groupCells([{ id, field: key, value: "A" }])
    expect(revertPart(ours, { before, after, cells }, "undid", "CFO", () => false).kept).toMatchObject([{ id, field: key }])
  })

  test("a column, its values and a move are undone", () => {
    const { id, ours } = createCopies()
    const undo = (edit: () => void, targets: object) => {
      const before = ours.heads()
      edit()
      return () => revertPart(ours, { before, after: ours.heads(), ...targets }, "undid", "CFO", () => true)
    }
    const key = addColumn(ours, text, 8, "CFO")
    const undoMove = undo(() => moveColumns(ours, [{ key, order: 2.5 }], "Grade", "CFO"), { places: [columnPlace(key, "order")] })
    expect(column(ours, key).order).toBe(2.5)
    undoMove()
    expect(column(ours, key).order).toBe(8)
    const undoValue = undo(() => setField(ours, id, key, "A", "CFO"), { cells: { [key]: [id] } })
    undoValue()
    expect(ours.row(id)).not.toHaveProperty(key)
    const other = ours.heads()
    const added = addColumn(ours, { ...text, title: "Other" }, 9, "CFO")
    revertPart(ours, { before: other, after: ours.heads(), places: [columnPlace(added)] }, "undid", "CFO", () => true)
    expect(labels(ours)).toEqual(["Grade"])
  })

  const rows = [
    shownPosition({ id: "a", designation: "Cook", own: { note: "wine", count: 10, due: "2027-06-15", grade: "A" } }),
    shownPosition({ id: "b", designation: "Host", own: { count: 9, grade: "B" } }),
    shownPosition({ id: "c", designation: "Guard" }),
  ]
  const ids = (positions: readonly Position[]) => positions.map(({ id }) => id).join("")

  test("the list is searched, filtered, sorted and grouped by them", () => {
    const search = (search: string) => ids(filterPositions(rows, { search, groups: {} }, null, columns))
    expect([search("wine"), search("2027-06-15"), search("15 jun"), search("beer")]).toEqual(["a", "a", "a", ""])
    expect(ids(filterPositions(rows, { search: "", groups: { [grade]: "b" } }, null, columns))).toBe("b")
    const sort = (key: OwnKey, ascending: boolean) => ids(sortPositions(rows, { key, ascending }, columns))
    // Empty values come last. Choices are in their order.
    expect([sort(count, true), sort(count, false), sort(grade, true), sort(due, false)]).toEqual(["bac", "abc", "bac", "abc"])
    const groups = groupRows(rows, own[3] as Extract<PlanColumn, { kind: "choice" }>, null)
    expect(groups.map(({ name, positions }) => [name, ids(positions)])).toEqual([
      ["B", "b"],
      ["A", "a"],
      ["", "c"],
    ])
  })

  test("cells are pasted, filled, cleared and edited in bulk", () => {
    const fields = columns.visible(new Set(["start", "end", "status", "location"]))
    const at = (key: string) => fields.findIndex((other) => keyOf(other) === key)
    const indexById = new Map(rows.map(({ id }, index) => [id, index]))
    const rect = toRect({ anchor: { id: "a", field: note }, head: { id: "b", field: count } }, indexById, fields)
    expect(rect).toEqual({ top: 0, bottom: 1, left: at("note"), right: at("count") })
    expect(toRect({ anchor: { id: "a", field: "start" }, head: { id: "b", field: note } }, indexById, fields)).toBeNull()
    const table = {
      rows: [
        ["x", "7", "2027-07-01", "a"],
        ["y", "many", "soon", "Z"],
      ],
      scale: null,
    }
    const target = { top: 1, bottom: 1, left: at("note"), right: at("note") }
    const pasted = pasteCells(rows, target, table, settings, fields)
    expect(pasted.cells).toEqual([
      { id: "b", field: note, value: "x" },
      { id: "b", field: count, value: 7 },
      { id: "b", field: due, value: "2027-07-01" },
      { id: "b", field: grade, value: "A" },
      { id: "c", field: note, value: "y" },
    ])
    expect(pasted.refusals.map(({ cell }) => cell)).toEqual(["Count of “Guard”", "Due of “Guard”", "Grade of “Guard”"])
    const added = pasteCells(rows, "below", { rows: [["Clerk", "HR", "5", "x", "3"]], scale: null }, settings, fields)
    expect(added.additions).toMatchObject([{ designation: "Clerk", department: "HR", budget: 5, own: { note: "x", count: 3 } }])
    const source = { top: 0, bottom: 0, left: at("note"), right: at("grade") }
    expect(fillCells(rows, source, { ...source, top: 2, bottom: 2 }, fields).cells).toHaveLength(4)
    expect(clearCells(rows, { ...source, bottom: 2, right: at("person") }, fields)).toMatchObject({
      cells: [
        { id: "a", field: note, value: null },
        { id: "a", field: count, value: null },
        { id: "a", field: due, value: null },
        { id: "a", field: grade, value: null },
        { id: "b", field: count, value: null },
        { id: "b", field: grade, value: null },
      ],
      refusals: [],
    })
    const edited = bulkEdit(rows, { kind: "set", field: field("grade"), value: "B" })
    expect(edited.cells.map(({ id }) => id).join("")).toBe("ac")
  })

  test("a column of an unknown type is shown, and never changed", () => {
    const position = shownPosition({ own: { person: "Anna" } })
    expect(displayValue(field("person"), shownValue(position, person))).toBe("Anna")
    expect(bulkEdit([position], { kind: "set", field: field("person"), value: "Ben" })).toMatchObject({
      cells: [],
      refusals: [{ cell: "Person of “”" }],
    })
  })

  test("values are written with new positions, and removed when they are cleared", () => {
    const { id, ours } = createCopies()
    const [added = ""] = addPositions(ours, [{ ...newPosition({ designation: "Clerk" }), own: { note: "x", count: 3, due: null } }], "CFO")
    expect(ours.row(added)).toMatchObject({ note: "x", count: 3 })
    expect(ours.row(added)).not.toHaveProperty("due")
    changeCells(ours, [{ id, field: note, value: "y" }], [], "pasted", "CFO")
    changeCells(ours, [{ id, field: note, value: null }], [], "cleared", "CFO")
    expect(ours.row(id)).not.toHaveProperty("note")
  })

  test("only columns with values are printed", () => {
    expect(printedFields(rows, columns.fields).map(keyOf).slice(-4)).toEqual(["note", "count", "due", "grade"])
    expect(printedFields(rows.slice(2), columns.fields).map(keyOf)).toEqual(["designation", "department", "budget", "location"])
  })

  test("comparisons call them by their titles", () => {
    expect([labelOf("count", columns), labelOf("skills", columns), labelOf("columns", columns)]).toEqual(["Count", "skills", "Columns"])
    expect(showValue("due", "2027-06-15", columns)).toMatch(/15.*2027/)
    expect(showValue("columns", { x: { title: "Grade", type: "text" }, y: { title: "Old", deleted: true } }, columns)).toBe("Grade")
  })
})
