import { readFileSync } from "node:fs"
import { describe, expect, it } from "vitest"
import type { Position } from "../../src/plan/schema"
import { decodeFile } from "../../src/plan/table-import"
import { type ColumnTarget, type Mapping, withTarget } from "../../src/plan/table-import/mapping"
import { type ComparedPlan, type TableInfo, TableSession } from "../../src/tables/session"
import { shownPosition } from "./support/position"

const OPTIONS = { deletesMissing: false, skipsDuplicates: false }
const fixture = (name: string) => new Uint8Array(readFileSync(`${import.meta.dirname}/../fixtures/${name}`))
const position = (id: string, given: Partial<Position>): Position => shownPosition({ id, designation: "Cook", budget: 1, ...given })

async function open(source: Uint8Array | string, plan: Partial<ComparedPlan> = {}) {
  const session = new TableSession({
    positions: [],
    own: [],
    currency: "INR",
    unit: 100_000,
    separators: { group: ",", decimal: "." },
    ...plan,
  })
  const info = await session.open(typeof source === "string" ? { text: source } : { bytes: source })
  return { session, info }
}

async function review(
  source: Uint8Array | string,
  plan: Partial<ComparedPlan> = {},
  change = (mapping: Mapping) => mapping,
  options = OPTIONS,
) {
  const { session, info } = await open(source, plan)
  if ("problem" in info) throw new Error(info.problem)
  const mapping = change(info.proposal.mapping)
  const reviewed = session.review(mapping, options)
  if ("problem" in reviewed) throw new Error(reviewed.problem)
  return { info, mapping, ...reviewed, changes: session.changes(mapping, options) }
}

describe("a workbook", () => {
  it("is read as a person sees it", async () => {
    const { info, review: found, changes } = await review(fixture("headcount.xlsx"))
    expect([info.sheets.map(({ name }) => name), info.sheet, info.hiddenRows]).toEqual([["Read me", "Headcount"], 1, 1])
    expect(
      changes.additions.map(({ designation, department, budget, location, start }) => [designation, department, budget, location, start]),
    ).toEqual([
      ["Cook", "Kitchen", 12.5, "Pune", "2027-06"],
      ["Chef", "Kitchen", 8, "Goa", "2027-07"],
      ["=SUM(A1:A9)", "Sales", 1_250, "Surat", null],
      ["Hidden clerk", "Sales", 5, "Surat", null],
      ["Pair", "Sales", 20, "Surat", null],
      ["Pair two", "Sales", null, "Surat", null],
    ])
    expect(found.refused.first).toEqual([
      { number: 7, text: "Location: D7 has the error #REF!." },
      { number: 8, text: "Budget: The file has no result for the formula in C8. Open it in a spreadsheet program and save it again." },
    ])
    expect(found.skipped.first).toEqual([
      { number: 1, text: "comes before the header" },
      { number: 11, text: "is a total" },
    ])
    expect(found.notes).toEqual(["Numbers in merged cells count once, in their first row: C9:C10."])
    expect(found.ignored).toEqual(["Remarks"])
  })

  it("is read without its hidden rows if the user says so", async () => {
    const { changes, review: found } = await review(fixture("headcount.xlsx"), {}, (mapping) => ({ ...mapping, hasHiddenRows: false }))
    expect(changes.additions.map(({ designation }) => designation)).not.toContain("Hidden clerk")
    expect(found.skipped.first).toContainEqual({ number: 6, text: "is hidden" })
  })

  it("has dates from 1900 or 1904", async () => {
    const { changes } = await review(fixture("dates-1904.xlsx"))
    expect(changes.additions).toMatchObject([{ start: "2027-06", end: "2028-03" }])
  })

  it("has the stored results of its formulas", async () => {
    const { changes, review: found } = await review(fixture("formulas.xlsx"))
    expect(changes.additions).toMatchObject([
      { designation: "Cook", budget: 13.2, start: "2027-06" },
      { designation: "Host", budget: 5 },
    ])
    expect(found.refused.first).toEqual([
      { number: 3, text: "Budget: B3 has the error #DIV/0!." },
      { number: 5, text: expect.stringContaining("“TRUE” is not an amount") },
      { number: 6, text: "Budget: “2027-06-01” is a date, not an amount." },
    ])
  })

  it("with a password is rejected by name", () => {
    expect(decodeFile(fixture("protected.xlsx"))).toEqual({
      problem: "The workbook is protected by a password. Save a copy without a password and import that.",
    })
  })

  it("that is damaged is rejected", async () => {
    const { info } = await open(fixture("formulas.xlsx").subarray(0, 3_000))
    expect(info).toEqual({ problem: "The workbook is damaged and cannot be read. Open it in a spreadsheet program and save it again." })
  })

  it("shows another sheet when it is selected", async () => {
    const { session } = await open(fixture("headcount.xlsx"))
    const info = (await session.selectSheet(0)) as TableInfo
    expect([info.sheet, info.headerChoices.map(({ text }) => text)]).toEqual([0, ["Headcount plan of the group"]])
  })
})

describe("columns chosen by hand", () => {
  const GERMAN = "Stelle;Abteilung;Gehalt;Ort\nKoch;Küche;5;Bonn\nKellner;Saal;6;Bonn"
  const choose = (mapping: Mapping, ...targets: (ColumnTarget | null)[]) =>
    targets.reduce((before, target, column) => withTarget(before, column, target), mapping)

  it("import a table that is not recognized", async () => {
    const { info, columns, changes } = await review(GERMAN, {}, (mapping) =>
      choose(mapping, "designation", "department", "budget", "location"),
    )
    expect(info.proposal.problem).toContain("No column is recognized as the designation.")
    expect(columns[0]).toEqual({ letter: "A", head: "Stelle", samples: ["Koch", "Kellner"] })
    expect(changes.additions).toMatchObject([
      { designation: "Koch", department: "Küche", budget: 5, location: "Bonn" },
      { designation: "Kellner", department: "Saal", budget: 6, location: "Bonn" },
    ])
  })

  it("never fill one field from two columns", async () => {
    const { mapping } = await review(GERMAN, {}, (before) => choose(before, "designation", "designation"))
    expect(mapping.targets).toEqual([null, "designation", null, null])
  })

  it("need a designation", async () => {
    const { review: found, changes } = await review(GERMAN, {}, (mapping) => choose(mapping, null, "department"))
    expect(found.problem).toBe("Choose the column of the designation.")
    expect(changes.additions).toEqual([])
  })

  it("begin below the row that the user names", async () => {
    const { session, info } = await open("Report of 2027;x\nTitle;City\nCook;Pune\nHost;Goa")
    const { mapping } = (info as TableInfo).proposal
    expect(session.propose(1)).toEqual(["designation", "location"])
    expect(session.propose(-1)).toEqual(["designation", "department"])
    expect(session.changes({ ...mapping, headerRow: 2, targets: ["designation", null] }, OPTIONS).additions).toMatchObject([
      { designation: "Host" },
    ])
  })
})

describe("the unit of the amounts", () => {
  const plan = { positions: [10, 12, 20].map((budget, at) => position(`p${at}`, { budget })) }

  it("is asked if the amounts have another size than the plan", async () => {
    const { mapping, review: found } = await review("title,salary\nCook,1200000\nChef,900000\nHost,1500000", plan)
    expect([mapping.unit, found.unit]).toEqual([null, { median: 1_200_000, planMedian: 12, likely: 1, isDoubtful: true }])
  })

  it("is that of the plan if the amounts have its size", async () => {
    expect((await review("title,salary\nCook,12\nChef,9\nHost,15", plan)).mapping.unit).toBe(100_000)
  })

  it("is that of the name of the column", async () => {
    const { mapping, namedUnit } = await review("title,CTC (crore)\nCook,0.12\nChef,0.09", plan)
    expect([mapping.unit, namedUnit]).toEqual([10_000_000, 10_000_000])
  })

  it.each([
    [1, 12.5],
    [1_000, 12_500],
    [100_000, 1_250_000],
    [10_000_000, 125_000_000],
  ])("of %i is converted exactly", async (unit, budget) => {
    const { changes } = await review("title;salary\nCook;12,50,000\nChef;3 lakh", plan, (mapping) => ({ ...mapping, unit }))
    expect(changes.additions.map((addition) => addition.budget)).toEqual([budget, 3])
  })
})

describe("update by id", () => {
  const [A, B] = ["a".repeat(32), "b".repeat(32)]
  const positions = [
    position(A, { designation: "Cook", department: "Kitchen", budget: 10, location: "Pune" }),
    position(B, { designation: "Chef", department: "Kitchen", budget: 20, location: "Pune" }),
    position("c", { designation: "Host", department: "Saal", budget: 30, location: "Goa" }),
  ]
  const table = `id,designation,department,budget,location,updatedAt\n${A},Cook,Kitchen,12,Pune,x\n${B},Chef,Kitchen,20,Pune,x\n,Buyer,Sales,5,Goa,`

  it("changes only the cells that differ, and keeps what is missing", async () => {
    const { changes, review: found } = await review(table, { positions })
    expect(changes.cells).toEqual([{ id: A, field: "budget", value: 12 }])
    expect(changes.additions).toMatchObject([{ designation: "Buyer", budget: 5 }])
    expect(changes.deletions).toEqual([])
    expect(found).toMatchObject({ added: 1, changed: 1, unchanged: 1, changedCells: 1, sumBefore: 60, sumAfter: 67 })
    expect([found.missing, found.ignored]).toEqual([{ count: 1, names: ["Host"] }, []])
  })

  it("deletes what is missing if the user says so", async () => {
    const { changes, review: found } = await review(table, { positions }, undefined, { ...OPTIONS, deletesMissing: true })
    expect([changes.deletions, found.deleted, found.sumAfter]).toEqual([["c"], 1, 37])
  })

  it("refuses a second line with the same id", async () => {
    const { review: found } = await review(`id,designation,budget\n${A},Cook,11\n${A},Cook,12`, { positions })
    expect(found.refused.first).toEqual([{ number: 3, text: "The id is the same as in line 2." }])
  })

  it("refuses a line with an invalid value, and its position is not missing", async () => {
    const { review: found } = await review(`id,designation,budget\n${A},Cook,many\n${B},,20\nc,Host,30`, { positions })
    expect(found.refused.first.map(({ number }) => number)).toEqual([2, 3])
    expect(found.missing.count).toBe(0)
  })

  it("keeps ids of this product, and makes new ones for others", async () => {
    const { changes, review: found } = await review(`id,designation\n${A},Cook\n${"d".repeat(14)},Buyer\n17,Clerk`, { positions })
    expect(changes.additions.map(({ id }) => id)).toEqual(["d".repeat(14), undefined])
    expect(found.unknownIds).toBe(2)
  })

  it("does not take the numbers of employees for ids", async () => {
    const { mapping, changes } = await review("id,designation\n1001,Cook\n1002,Chef", { positions })
    expect([mapping.targets, changes.additions.length]).toEqual([[null, "designation"], 2])
  })

  it("leaves values that it did not change, valid or not", async () => {
    const odd = [position(A, { budget: null, mistyped: { budget: "a lot" }, department: "x\r\ny" }), position(B, { budget: -5 })]
    const { review: found } = await review(`id,designation,department,budget\n${A},Cook,"x\ny",a lot\n${B},Cook,,-5`, { positions: odd })
    expect(found.refused.count + found.changed).toBe(1)
    expect(found.refused.first).toEqual([{ number: 3, text: "Budget: A budget cannot be negative." }])
  })

  it("needs no designation", async () => {
    const { info, changes } = await review(`id,budget\n${A},11`, { positions })
    expect(info.proposal.problem).toBeNull()
    expect(changes.cells).toEqual([{ id: A, field: "budget", value: 11 }])
  })
})

describe("the preview", () => {
  it("names outliers and duplicates", async () => {
    const positions = [position("p", { designation: "Cook", department: "Kitchen", budget: 10, location: "Pune" })]
    const rows = ["Cook,kitchen,10,Pune", "Chef,Kitchen,12,Goa", "Chef,Kitchen,12,Goa", "Host,Saal,150,Goa", "Clerk,Saal,1100000,Goa"]
    const { review: found } = await review(`title,team,budget,city\n${rows.join("\n")}`, { positions })
    expect(found.duplicatesInPlan.first).toEqual([{ number: 2, text: "“Cook”" }])
    expect(found.duplicatesInTable.first).toEqual([{ number: 4, text: "“Chef”, as in line 3" }])
    expect(found.outliers.first.map(({ number, text }) => [number, text.replace(/^.*?, /, "")])).toEqual([
      [5, "13 times the median"],
      [6, expect.stringMatching(/times the median; looks like an amount in single units$/)],
    ])
  })

  it("leaves out lines that equal the plan if the user says so", async () => {
    const positions = [position("p", { designation: "Cook", budget: 10 })]
    const { changes } = await review("title,budget\nCook,10\nChef,10", { positions }, undefined, { ...OPTIONS, skipsDuplicates: true })
    expect(changes.additions.map(({ designation }) => designation)).toEqual(["Chef"])
  })
})
