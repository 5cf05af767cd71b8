/** Status, start and end: stored as whole texts, absent without a value, never lost if another program wrote something else. */
import { describe, expect, it } from "vitest"
import { clearCells, fillCells, pasteCells } from "../../src/grid/cell-changes"
import { toCsv } from "../../src/plan/csv-export"
import { addPositions, changeCells, readFieldRegister, resolveConflict, revertField, setField } from "../../src/plan/edit"
import { displayValue, formatFieldValue } from "../../src/plan/format"
import { distinctGroups, filterPositions, groupTotals, sortPositions } from "../../src/plan/query"
import { type Position, readSettings, shownValue } from "../../src/plan/schema"
import { parseTable } from "../../src/plan/table-import"
import { type Copy, createCopies } from "./support/copy"
import { exportTable, newPosition, shownPosition } from "./support/position"

const SETTINGS = { name: "", currency: "INR", unit: 100_000, totalBudget: null, yearStart: null }
const SCALE = { currency: "INR", unit: 100_000 }
const rowOf = (copy: Copy, id: string) => copy.row(id)
const columns = { status: 4, start: 5, end: 6 }
const cell = (top: number, column: number, bottom = top, right = column) => ({ top, bottom, left: column, right })

describe("in the document", () => {
  it("a value is set, and clearing it deletes the key", () => {
    const { ours, id } = createCopies()
    expect(rowOf(ours, id)).not.toHaveProperty("status")
    expect(ours.readPosition(id)).toMatchObject({ status: null, start: null, end: null })
    setField(ours, id, "status", "approved", "CFO")
    setField(ours, id, "start", "2027-06", "CFO")
    expect(rowOf(ours, id)).toMatchObject({ status: "approved", start: "2027-06" })
    setField(ours, id, "status", null, "CFO")
    changeCells(ours, [{ id, field: "start", value: null }], [], "cleared", "CFO")
    expect(Object.keys(rowOf(ours, id))).not.toEqual(expect.arrayContaining(["status"]))
    expect(rowOf(ours, id)).not.toHaveProperty("start")
  })

  it("concurrent values are a conflict of whole texts", () => {
    const { ours, theirs, id } = createCopies()
    setField(ours, id, "status", "approved", "CEO")
    setField(theirs, id, "status", "open", "CFO")
    setField(ours, id, "start", "2027-06", "CEO")
    setField(theirs, id, "start", "2028-01", "CFO")
    ours.merge(theirs)
    expect(ours.values(id, "status").sort()).toEqual(["approved", "open"])
    expect(ours.values(id, "start").sort()).toEqual(["2027-06", "2028-01"])
    resolveConflict(ours, id, "start", ours.operation(id, "start", "2027-06"), "CEO")
    expect(ours.values(id, "start")).toEqual(["2027-06"])
  })

  it("an edit is reverted to no value", () => {
    const { ours, id } = createCopies()
    const before = readFieldRegister(ours, id, "end")
    setField(ours, id, "end", "2028-03", "CEO")
    revertField(ours, id, "end", before, "CEO")
    expect(rowOf(ours, id)).not.toHaveProperty("end")
  })

  it.each([
    ["status", "frozen", "frozen"],
    ["status", "Approved", "Approved"],
    ["status", 3, "3"],
    ["status", { a: 1 }, '{"a":1}'],
    ["start", "June", "June"],
    ["start", "2027-13", "2027-13"],
    ["end", 202_706, "202706"],
  ] as const)("%s %j is shown, marked and not counted as valid", (field, value, shown) => {
    const { ours, id } = createCopies()
    ours.write((doc) => {
      const row = doc.positions[id] as Record<string, unknown>
      row[field] = value
    })
    const position = ours.readPosition(id) as Position
    expect([position[field], shownValue(position, field), position.mistyped?.[field]]).toEqual([null, shown, shown])
    setField(ours, id, "budget", 5, "CFO")
    expect(rowOf(ours, id)[field]).toEqual(value)
    // An export keeps it, and an import refuses it instead of dropping it.
    expect(toCsv(exportTable([position]))).toContain(shown.replaceAll('"', '""'))
  })

  it("an empty text is no value", () => {
    const { ours, id } = createCopies()
    ours.write((doc) => Object.assign(doc.positions[id] as object, { status: "", start: null }))
    const position = ours.readPosition(id)
    expect(position).toMatchObject({ status: null, start: null })
    expect(position?.mistyped).toBeUndefined()
  })

  it("a year start that is no month is kept and not used", () => {
    expect(readSettings({ yearStart: "2027-04" }).yearStart).toBe("2027-04")
    for (const yearStart of ["April", 2027, "", null, undefined]) expect(readSettings({ yearStart }).yearStart).toBeNull()
  })
})

describe("cells", () => {
  const list = [
    shownPosition({ id: "a", designation: "Cook", status: "open", start: "2027-06" }),
    shownPosition({ id: "b", designation: "Host", mistyped: { status: "frozen", start: "June" } }),
    shownPosition({ id: "c", designation: "Chef", end: "2028-03" }),
  ]
  const written = ({ cells }: { cells: { id: string; field: string; value: unknown }[] }) =>
    cells.map(({ id, field, value }) => [id, field, value])

  it("are pasted in any spelling, and others are refused by name", () => {
    const rows = [
      ["Approved", "Jun 2027", "31/03/2028"],
      ["hired", "05/06/2027", "later"],
      ["", "-", ""],
    ]
    const changes = pasteCells(list, cell(0, columns.status), { rows, scale: null }, SETTINGS)
    expect(written(changes)).toEqual([
      ["a", "status", "approved"],
      ["a", "end", "2028-03"],
      ["c", "end", null],
    ])
    expect(changes.refusals).toEqual([
      { cell: "Status of “Host”", reason: "“hired” is not a status. Choose Proposed, Approved, Open or Filled." },
      { cell: "Start of “Host”", reason: "“05/06/2027” may be 2027-05 or 2027-06. Enter the month, such as 2027-05." },
      { cell: "End of “Host”", reason: "“later” is not a month. Enter a month, such as 2027-06 or Jun 2027." },
    ])
  })

  it("are pasted as new positions", () => {
    const rows = [["Baker", "Kitchen", "4", "Goa", "open", "2027-06", ""]]
    expect(pasteCells(list, "below", { rows, scale: null }, SETTINGS).additions).toEqual([
      newPosition({ designation: "Baker", department: "Kitchen", budget: 4, location: "Goa", status: "open", start: "2027-06" }),
    ])
  })

  it("are filled, and values that are not valid are refused", () => {
    expect(written(fillCells(list, cell(0, columns.status, 0, columns.start), cell(2, columns.status, 2, columns.start)))).toEqual([
      ["c", "status", "open"],
      ["c", "start", "2027-06"],
    ])
    const changes = fillCells(list, cell(1, columns.status, 1, columns.start), cell(2, columns.status, 2, columns.start))
    expect(changes.cells).toEqual([])
    expect(changes.refusals.map(({ reason }) => reason)).toEqual([
      "“frozen” is not a status. Choose Proposed, Approved, Open or Filled.",
      "“June” is not a month. Enter a month, such as 2027-06 or Jun 2027.",
    ])
  })

  it("are cleared, also if they are not valid", () => {
    expect(written(clearCells(list, cell(0, columns.status, 2, columns.end)))).toEqual([
      ["a", "status", null],
      ["a", "start", null],
      ["b", "status", null],
      ["b", "start", null],
      ["c", "end", null],
    ])
  })
})

describe("the list", () => {
  const list = [
    shownPosition({ id: "a", designation: "Cook", budget: 1, status: "filled", start: "2028-01" }),
    shownPosition({ id: "b", designation: "Host", budget: 8, mistyped: { status: "frozen" } }),
    shownPosition({ id: "c", designation: "Chef", budget: 2, status: "proposed", start: "2027-06" }),
    shownPosition({ id: "d", designation: "Maid", budget: 4, status: "proposed" }),
  ]
  const ids = (positions: readonly Position[]) => positions.map(({ id }) => id).join("")

  it("is grouped by status in the order of the choices", () => {
    expect(groupTotals(list, "status").map(({ name, budget, count }) => [name, budget, count])).toEqual([
      ["Proposed", 6, 2],
      ["Filled", 1, 1],
      ["", 8, 1],
    ])
    expect(distinctGroups(list, "status").map(({ name }) => name)).toEqual(["Proposed", "Filled"])
  })

  it("is filtered, searched and sorted", () => {
    expect(ids(filterPositions(list, { search: "", groups: { status: "proposed" } }))).toBe("cd")
    expect(ids(filterPositions(list, { search: "frozen", groups: {} }))).toBe("b")
    expect(ids(filterPositions(list, { search: "jun 2027", groups: {} }))).toBe("c")
    expect(ids(filterPositions(list, { search: "2028-01", groups: {} }))).toBe("a")
    expect(ids(sortPositions(list, { key: "status", ascending: true }))).toBe("cdab")
    expect(ids(sortPositions(list, { key: "start", ascending: false }))).toBe("acbd")
  })

  it("shows labels and months in words", () => {
    expect([displayValue("status", "open"), displayValue("start", "2027-06"), displayValue("end", null)]).toEqual(["Open", "Jun 2027", ""])
    expect([displayValue("status", "frozen"), displayValue("start", "June")]).toEqual(["frozen", "June"])
    expect([formatFieldValue("status", null), formatFieldValue("yearStart", "2027-04"), formatFieldValue("costCentre", "2027-04")]).toEqual(
      ["(empty)", "Apr 2027", "2027-04"],
    )
  })
})

describe("tables", () => {
  const read = (text: string) => parseTable(text, SCALE)
  const values = (text: string) => read(text).lines.map(({ position: { status, start, end }, problem }) => problem ?? [status, start, end])

  it("are imported by the usual names of columns", () => {
    expect(values("Job title,Status,Joining date,End date\nCook,Open,2027-06-15,31/03/2028\nHost,,,")).toEqual([
      ["open", "2027-06", "2028-03"],
      [null, null, null],
    ])
  })

  it("read dates in the order that a date of the column shows", () => {
    expect(values("Designation;Start month\nCook;05/06/2027\nHost;25/06/2027")).toEqual([
      [null, "2027-06", null],
      [null, "2027-06", null],
    ])
    expect(values("Designation;Start month\nCook;05/06/2027\nHost;6/25/2027")).toMatchObject([[null, "2027-05", null], {}])
    expect(values("Designation;Start month\nCook;05/06/2027")[0]).toMatch(/^Start: “05\/06\/2027” may be/)
  })

  it("ignore columns that mean something else by these names", () => {
    const table = read("Designation,Status,Start\nCook,Active,9:00\nHost,On leave,10:00")
    expect(table.lines.map(({ problem }) => problem)).toEqual([null, null])
    expect(table.ignored).toEqual(["Status", "Start"])
    expect(table.notes).toEqual(
      expect.arrayContaining([
        "“Status” is not imported as the status: none of its values is one of Proposed, Approved, Open, Filled.",
        "“Start” is not imported as the start: none of its values is a month or a date.",
      ]),
    )
    expect(values("Designation,Status\nCook,open\nHost,frozen")[1]).toMatch(/^Status: “frozen” is not a status/)
  })

  it("return from an export without loss", () => {
    const { ours } = createCopies()
    const positions = [
      newPosition({ designation: "A", status: "approved", start: "2027-06", end: "2028-03" }),
      newPosition({ designation: "B", status: "filled" }),
      newPosition({ designation: "C" }),
    ]
    const ids = addPositions(ours, positions, "CFO")
    const exported = toCsv(exportTable(ids.map((id) => ours.readPosition(id) as Position)))
    expect(read(exported).lines.map(({ position }) => position)).toEqual(positions)
    // Calculated columns are marked, and neither imported nor listed as not imported.
    expect(exported.split("\r\n")[0]).toMatch(/,approvedAt,approvedBudget,approvedBy,\[cost 2027-04 to 2028-03\]$/)
    expect(read(exported)).toMatchObject({ ignored: [], notes: [], problem: null })
    expect(toCsv(exportTable([shownPosition({ designation: "Cook" })]))).toMatch(/createdAt,status,start,end\r\n/)
  })
})
