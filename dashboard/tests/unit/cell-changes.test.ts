import { describe, expect, it } from "vitest"
import { clearCells, fillCells, pasteCells, portionsOf, valuesIn } from "../../src/grid/cell-changes"
import type { ClipboardTable } from "../../src/grid/clipboard"
import { describeRange, type Rect, toRect } from "../../src/grid/range"
import type { Position, Settings } from "../../src/plan/schema"
import { newPosition, shownPosition } from "./support/position"

const SETTINGS: Settings = { name: "", currency: "INR", unit: 100_000, totalBudget: null, yearStart: null }
/** Columns: designation, department, budget, location, status, start, end. */
const LIST: Position[] = ["Cook", "Waiter", "Host", "Chef"].map((designation, at) =>
  shownPosition({ id: `id${at}`, designation, department: "Kitchen", budget: at + 1, location: "Pune" }),
)
const rect = (top: number, bottom: number, left: number, right = left): Rect => ({ top, bottom, left, right })
const table = (...rows: string[][]): ClipboardTable => ({ rows, scale: null })
const paste = (target: Rect | "below", pasted: ClipboardTable, settings = SETTINGS) => pasteCells(LIST, target, pasted, settings)
const written = ({ cells }: { cells: { id: string; field: string; value: unknown }[] }) =>
  cells.map(({ id, field, value }) => [id, field, value])

describe("pasting", () => {
  it("writes a block from the first cell", () => {
    const changes = paste(rect(1, 1, 1), table(["HR", "7"], ["Sales", ""]))
    expect(written(changes)).toEqual([
      ["id1", "department", "HR"],
      ["id1", "budget", 7],
      ["id2", "department", "Sales"],
      ["id2", "budget", null],
    ])
    expect(changes).toMatchObject({ additions: [], refusals: [], notes: [] })
  })

  it("fills a range with a single value", () => {
    expect(written(paste(rect(0, 2, 2), table(["9"])))).toEqual([
      ["id0", "budget", 9],
      ["id1", "budget", 9],
      ["id2", "budget", 9],
    ])
  })

  it("repeats a block in a range that is a multiple of it", () => {
    expect(written(paste(rect(0, 3, 2), table(["8"], ["9"])))).toEqual([
      ["id0", "budget", 8],
      ["id1", "budget", 9],
      ["id2", "budget", 8],
      ["id3", "budget", 9],
    ])
    expect(written(paste(rect(0, 2, 2), table(["8"], ["9"])))).toHaveLength(2)
  })

  it("skips cells that have the value already", () => {
    expect(written(paste(rect(0, 0, 0), table(["Cook", "HR"])))).toEqual([["id0", "department", "HR"]])
    const conflict = { winner: "1@a", losing: [{ operation: "1@b", value: "Goa" }] }
    const list = [shownPosition({ designation: "Cook", location: "Pune", conflicts: { location: conflict } })]
    expect(written(pasteCells(list, rect(0, 0, 3), table(["Pune"]), SETTINGS)), "a conflict is resolved").toHaveLength(1)
  })

  it("adds positions below the last row", () => {
    const changes = paste(rect(3, 3, 0), table(["Chef", "HR", "4", "Goa"], ["Baker", "HR", "5", "Goa"], ["", "", "", ""]))
    expect(written(changes)).toEqual([
      ["id3", "department", "HR"],
      ["id3", "location", "Goa"],
    ])
    expect(changes.additions).toEqual([newPosition({ designation: "Baker", department: "HR", budget: 5, location: "Goa" })])
    expect(paste("below", table(["Baker"], ["Smith", "", ""])).additions.map(({ designation }) => designation)).toEqual(["Baker", "Smith"])
  })

  it("refuses rows below the last one without a designation", () => {
    const changes = paste(rect(3, 3, 2), table(["4"], ["5"]))
    expect(changes.additions).toEqual([])
    expect(changes.refusals).toEqual([{ cell: "Row 2", reason: "Designation: A position needs a designation." }])
    expect(paste("below", table(["Baker", "HR", "$5"])).refusals).toEqual([
      { cell: "New position “Baker”", reason: "Budget: “$5” is in $, but this plan is in INR." },
    ])
  })

  it("refuses values that cannot be read and keeps the others", () => {
    const changes = paste(rect(0, 0, 2), table(["$30"], ["many"], ["=40*2"], ["12"]))
    expect(written(changes)).toEqual([["id3", "budget", 12]])
    expect(changes.refusals).toEqual([
      { cell: "Budget of “Cook”", reason: "“$30” is in $, but this plan is in INR." },
      { cell: "Budget of “Waiter”", reason: "“many” is not an amount. Enter a number, such as 12 or 8 lakh." },
      { cell: "Budget of “Host”", reason: "“=40*2” is not an amount. Enter a number, such as 12 or 8 lakh." },
    ])
  })

  it("converts a named unit and says so", () => {
    const changes = paste(rect(0, 0, 2), table(["2.5 cr"], ["25 lakh"]))
    expect(written(changes)).toEqual([
      ["id0", "budget", 250],
      ["id1", "budget", 25],
    ])
    expect(changes.notes).toEqual(["Amounts in crore were converted to lakh."])
  })

  it("refuses amounts of a plan with another scale", () => {
    const copied = { rows: [["HR", "30"]], scale: { currency: "USD", unit: 1_000 } }
    const changes = paste(rect(0, 0, 1), copied)
    expect(written(changes)).toEqual([["id0", "department", "HR"]])
    expect(changes.refusals[0]?.reason).toMatch(/^“30” was copied from a plan in .*thousand, but this plan is in .*lakh\.$/)
    expect(paste(rect(0, 0, 1), { ...copied, scale: { currency: "INR", unit: 100_000 } }).refusals).toEqual([])
  })

  it("refuses columns beyond the last one", () => {
    const changes = paste(rect(0, 0, 6), table(["2027-06", "x"]))
    expect(written(changes)).toEqual([["id0", "end", "2027-06"]])
    expect(changes.refusals).toEqual([{ cell: "Last column", reason: "There is no column to the right of End." }])
    expect(paste(rect(0, 0, 6), table(["2027-06", " "])).refusals).toEqual([])
  })

  it("keeps formula-like text as text", () => {
    expect(written(paste(rect(0, 0, 3), table(["'=1+1"], ["=SUM(A1)"])))).toEqual([
      ["id0", "location", "=1+1"],
      ["id1", "location", "=SUM(A1)"],
    ])
  })

  it("refuses more cells than can be pasted", () => {
    const changes = paste(rect(0, 0, 0), { rows: Array.from({ length: 100_001 }, () => ["x"]), scale: null })
    expect(changes.cells).toEqual([])
    expect(changes.refusals).toHaveLength(1)
  })
})

describe("filling", () => {
  it("copies the first row down", () => {
    expect(written(fillCells(LIST, rect(0, 0, 2), rect(1, 3, 2)))).toEqual([
      ["id1", "budget", 1],
      ["id2", "budget", 1],
      ["id3", "budget", 1],
    ])
  })

  it("repeats several rows, also upwards", () => {
    const down = fillCells(LIST, rect(0, 1, 2), rect(2, 3, 2))
    expect(written(down)).toEqual([
      ["id2", "budget", 1],
      ["id3", "budget", 2],
    ])
    const up = fillCells(LIST, rect(2, 3, 2), rect(0, 1, 2))
    expect(written(up)).toEqual([
      ["id0", "budget", 3],
      ["id1", "budget", 4],
    ])
    expect(written(fillCells(LIST, rect(2, 3, 2), rect(1, 1, 2)))).toEqual([["id1", "budget", 4]])
  })

  it("copies an unknown budget and refuses one of another type", () => {
    const list = [shownPosition({ id: "a", designation: "A", budget: null }), shownPosition({ id: "b", designation: "B", budget: 2 })]
    expect(written(fillCells(list, rect(0, 0, 2), rect(1, 1, 2)))).toEqual([["b", "budget", null]])
    const mistyped = [shownPosition({ id: "a", designation: "A", mistyped: { budget: "lots" } }), list[1] as Position]
    expect(fillCells(mistyped, rect(0, 0, 2), rect(1, 1, 2))).toMatchObject({ cells: [], refusals: [{ cell: "Budget of “B”" }] })
  })
})

describe("clearing", () => {
  it("empties texts and makes amounts unknown", () => {
    expect(written(clearCells(LIST, rect(0, 0, 1, 3)))).toEqual([
      ["id0", "department", ""],
      ["id0", "budget", null],
      ["id0", "location", ""],
    ])
  })

  it("refuses designations and entries that are not positions", () => {
    const odd = shownPosition({ id: "odd", designation: "text", invalidEntry: "text" })
    expect(clearCells([...LIST, odd], rect(3, 4, 0)).refusals).toEqual([
      { cell: "Designation of “Chef”", reason: "A position needs a designation." },
      { cell: "Designation of “text”", reason: "This entry is not a position and can only be deleted." },
    ])
  })
})

describe("portions", () => {
  const cells = (count: number) => Array.from({ length: count }, (_, at) => ({ id: `id${at}`, field: "budget" as const, value: 1 }))

  it("leave small actions whole", () => {
    expect(portionsOf({ cells: cells(100), additions: [] })).toHaveLength(1)
    expect(portionsOf({ cells: [], additions: Array(50).fill(newPosition({ designation: "Cook" })) })).toHaveLength(1)
  })

  it("split large actions without loss and in order", () => {
    const changes = { cells: cells(5_000), additions: Array.from({ length: 100 }, (_, at) => newPosition({ designation: `Cook ${at}` })) }
    const portions = portionsOf(changes)
    expect(portions.length).toBeGreaterThan(10)
    expect(portions.flatMap((portion) => portion.cells)).toEqual(changes.cells)
    expect(portions.flatMap((portion) => portion.additions)).toEqual(changes.additions)
  })
})

describe("ranges", () => {
  const index = new Map(LIST.map(({ id }, at) => [id, at]))

  it("are rectangles in the order of the list", () => {
    const range = { anchor: { id: "id2", field: "budget" }, head: { id: "id0", field: "department" } } as const
    expect(toRect(range, index)).toEqual(rect(0, 2, 1, 2))
    expect(toRect({ ...range, head: { id: "gone", field: "budget" } }, index)).toBeNull()
  })

  it("are described for screen readers", () => {
    expect(describeRange(LIST, rect(0, 2, 1, 2))).toBe("3 rows, 2 columns selected, from Department of Cook to Budget of Host")
  })

  it("yield the values that are copied", () => {
    expect(valuesIn(LIST, rect(0, 1, 2, 3))).toEqual([
      [1, "Pune"],
      [2, "Pune"],
    ])
  })
})
