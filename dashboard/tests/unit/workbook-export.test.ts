import { readXlsx } from "hucre/xlsx"
import { describe, expect, it } from "vitest"
import type { Position, Settings } from "../../src/plan/schema"
import { exportTable } from "../../src/plan/table-export"
import { type ComparedPlan, TableSession } from "../../src/tables/session"
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
    expect(sheet?.rows[0]?.slice(-3)).toEqual(["costCentre", "budgetOwner", "Other: city"])
    expect(sheet?.rows[1]?.slice(-3)).toEqual(["CC-1", true, "x"])
    expect((await importFile(bytes, { positions })).review).toMatchObject({ changed: 0, unchanged: 1 })
  })
})
