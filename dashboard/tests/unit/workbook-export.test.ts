import { readXlsx } from "hucre/xlsx"
import { describe, expect, it } from "vitest"
import type { Position, Settings } from "../../src/plan/schema"
import { exportTable } from "../../src/plan/table-export"
import { type ComparedPlan, TableSession } from "../../src/tables/session"
import { choices, planColumn } from "./support/columns"
import { shownPosition, exportTable as tableOf } from "./support/position"

const SETTINGS = { name: "Growth 2027", currency: "INR", unit: 100_000, totalBudget: 2_000, yearStart: "2027-04" } as Settings
const SEPARATORS = { group: ",", decimal: "." }
const OPTIONS = { deletesMissing: false, skipsDuplicates: false }
const TEXTS = [
  "=SUM(A1:A9)",
  "'already",
  "  padded  ",
  "two\nlines",
  "a\r\nb",
  "_x0041_",
  "tab\tin",
  "日本 🍳",
  '<&">',
  "\u200b",
  "+49",
  "1e5",
  "TRUE",
]

const position = (id: string, given: Partial<Position>): Position =>
  shownPosition({ id, designation: "Cook", budget: 1, createdAt: 0, ...given })
const write = (positions: Position[], settings = SETTINGS) => exportTable("xlsx", tableOf(positions), settings)

/** Imports a file into a plan. */
async function importFile(bytes: Uint8Array, plan: Partial<ComparedPlan>, options = OPTIONS) {
  const session = new TableSession({ positions: [], own: [], currency: "INR", unit: 100_000, separators: SEPARATORS, ...plan })
  const info = await session.open({ bytes })
  if ("problem" in info) throw new Error(info.problem)
  const reviewed = session.review(info.proposal.mapping, options)
  if ("problem" in reviewed) throw new Error(reviewed.problem)
  return { info, review: reviewed.review, changes: session.changes(info.proposal.mapping, options) }
}

describe("an exported workbook", () => {
  it("changes nothing when it is imported again", async () => {
    const positions = [
      ...TEXTS.map((text, at) => position(`t${at}`, { designation: `x${text}`, department: text, location: text })),
      ...[0, 0.5, 1e-7, 12.125, 0.30000000000000004, 9_007_199_254_740_991, null].map((budget, at) => position(`b${at}`, { budget })),
      position("m", { budget: null, mistyped: { budget: "a lot" } }),
      position("total", { designation: "Total" }),
      position("s", { status: "approved", start: "2027-06", end: "2028-03" }),
      position("n", { mistyped: { status: "frozen", start: "June", end: "2027-6" } }),
    ]
    const { review } = await importFile(await write(positions), { positions })
    expect(review).toMatchObject({ added: 0, changed: 0, unchanged: positions.length, missing: { count: 0 } })
    expect([review.refused, review.skipped].map(({ count }) => count)).toEqual([0, 0])
  })

  it("has numbers, dates and texts, and no formula", async () => {
    const [sheet, plan] = (await readXlsx(await write([position("a", { department: "=1+1", budget: 12.5, updatedAt: 86_400_000 })]))).sheets
    expect(sheet?.rows[0]?.slice(0, 4)).toEqual(["id", "Designation", "Department", "Budget (INR lakh)"])
    expect(sheet?.rows[1]?.slice(0, 4)).toEqual(["a", "Cook", "=1+1", 12.5])
    expect(sheet?.rows[1]).toContainEqual(new Date(86_400_000))
    expect([...(sheet?.cells?.values() ?? [])].filter(({ formula }) => formula !== undefined)).toEqual([])
    expect(sheet?.freezePane).toMatchObject({ rows: 1 })
    expect(plan?.rows).toContainEqual(["Sum of budgets", 12.5, null])
    expect(plan?.rows).toContainEqual(["Unit", "lakh", null])
  })

  it("is converted by its unit in a plan with another one", async () => {
    const positions = [position("a", { budget: 150 })]
    const { changes, review } = await importFile(await write(positions), { unit: 10_000_000 })
    expect(changes.additions.map(({ budget }) => budget)).toEqual([1.5])
    expect(review.notes).toEqual(["“Budget (INR lakh)” is in lakh; amounts are converted to crore."])
  })

  it("in another currency is rejected", async () => {
    const { review } = await importFile(await write([position("a", {})], { ...SETTINGS, currency: "USD" }), {})
    expect(review.problem).toContain("is not in INR")
  })

  it("holds fields of other programs, which an import leaves alone", async () => {
    const positions = [position("a", {})]
    const bytes = await exportTable(
      "xlsx",
      tableOf(positions, new Map([["a", { costCentre: "CC-1", budgetOwner: true, city: "x" }]])),
      SETTINGS,
    )
    const [sheet] = (await readXlsx(bytes)).sheets
    expect(sheet?.rows[0]?.slice(-3)).toEqual(["budgetOwner", "Other: city", "costCentre"])
    expect(sheet?.rows[1]?.slice(-3)).toEqual([true, "x", "CC-1"])
    expect((await importFile(bytes, { positions })).review).toMatchObject({ changed: 0, unchanged: 1 })
  })
})

describe.each(["xlsx", "csv"] as const)("columns of the plan in a file of the kind %s", (format) => {
  const own = [
    planColumn("note", { label: "Team", order: 8 }),
    planColumn("seats", { kind: "number", label: "Seats (total)", order: 9 }),
    planColumn("due", { kind: "date", order: 10 }),
    planColumn("grade", { ...choices("B", "A"), order: 11 }),
    // Titles that a table has for something else, or twice.
    planColumn("other", { label: "created", order: 12 }),
    planColumn("twin", { label: "due", order: 13 }),
    planColumn("formula", { label: "=1+1", order: 14 }),
  ]
  const positions = [
    position("a", { department: "HR", own: { note: "=SUM(A1)", seats: -1234.5, due: "2027-06-15", grade: "A", other: "x", twin: "y" } }),
    position("b", { own: { note: "  padded ", seats: 0 }, mistyped: { due: "soon", grade: "Z" } as Record<string, string> }),
    position("c", { own: { formula: "f" } }),
  ]
  const extras = new Map([["a", { Team: "of another program" }]])
  const write = () => exportTable(format, { ...tableOf(positions, extras), own }, SETTINGS)

  it("change nothing when they are imported again", async () => {
    const { review, changes } = await importFile(await write(), { positions, own })
    expect(review).toMatchObject({ problem: null, added: 0, changed: 0, unchanged: 3, refused: { count: 0 } })
    expect(review.ignored).toEqual(["Other: Team"])
    expect(changes.cells).toEqual([])
  })

  it("update the positions of the plan", async () => {
    const before = positions.map(({ own: _, mistyped: __, ...position }) => position)
    const { changes } = await importFile(await write(), { positions: before.slice(0, 1), own })
    expect(changes.cells).toEqual([
      { id: "a", field: "note", value: "=SUM(A1)" },
      { id: "a", field: "seats", value: -1234.5 },
      { id: "a", field: "due", value: "2027-06-15" },
      { id: "a", field: "grade", value: "A" },
      { id: "a", field: "other", value: "x" },
      { id: "a", field: "twin", value: "y" },
    ])
    // Values that do not fit are refused in new positions.
    expect(changes.additions).toMatchObject([{ designation: "Cook", own: { formula: "f", seats: null } }])
  })
})

it("a table names columns of the plan by their titles or keys, before other names of fields", async () => {
  const own = [
    planColumn("note", { label: "Team" }),
    planColumn("col1", { kind: "date", label: "Due" }),
    planColumn("x", { label: "Budget" }),
  ]
  const text = "Position,Team,col1,Budget,Dept\nCook,Red,05/06/2027,12,HR\nHost,Blue,25/06/2027,9,HR"
  const { changes, review } = await importFile(new TextEncoder().encode(text), { own })
  expect(review.problem).toBeNull()
  // The field keeps its own name, and the order of the dates follows from the second line.
  expect(changes.additions).toMatchObject([
    { designation: "Cook", department: "HR", budget: 12, own: { note: "Red", col1: "2027-06-05" } },
    { designation: "Host", department: "HR", budget: 9, own: { note: "Blue", col1: "2027-06-25" } },
  ])
})
