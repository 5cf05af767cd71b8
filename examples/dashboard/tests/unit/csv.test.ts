import { describe, expect, it } from "vitest"
import { marksOf } from "../../src/plan/amount"
import { readTable, toCsv } from "../../src/plan/csv"
import type { Position } from "../../src/plan/schema"

const position = (designation: string, location = "", budget: number | null = 1): Position => ({
  id: "a",
  designation,
  department: "",
  budget,
  location,
  createdAt: 0,
  updatedAt: null,
  updatedBy: "",
  conflicts: null,
})

describe("a table", () => {
  it("comes back as it went out, whatever is in it", () => {
    const texts = [
      "=1+1",
      "+1",
      "-1",
      "@x",
      "\ttab",
      "\rreturn",
      "'quoted",
      "'=typed",
      "''=twice",
      'say "hi"',
      "a,b;c",
      "two\nlines",
      "日本",
      " blanks ",
    ]
    const { lines, problem } = readTable(toCsv(texts.map((text) => position("x", text))))
    expect(problem).toBeNull()
    expect(lines.map((line) => line.position.location)).toEqual(texts)
  })

  it("has nothing in it that a spreadsheet would run", () => {
    for (const text of ["=1+1", "+1", "-1", "@x", "\tx", "\rx"]) expect(toCsv([position(text)])).toContain(`'${text}`)
    expect(toCsv([position("Cook")])).toContain("\r\nCook,,1,,1970-01-01T00:00:00.000Z,,\r\n")
  })

  it.each(["de", "fr", "en-IN", "en"])("that we wrote has the same numbers, read in %s", (language) => {
    const budgets = [12.125, 12_125, 1e-7, 0.5]
    const written = toCsv(budgets.map((budget) => position("Cook", "", budget)))
    expect(readTable(written, marksOf(language)).lines.map((line) => line.position.budget)).toEqual(budgets)
  })

  it("that others wrote is read as the reader writes numbers", () => {
    const others = "designation;budget\nCook;12,125"
    expect(readTable(others, marksOf("de")).lines[0]?.position.budget).toBe(12.125)
    expect(readTable(others, marksOf("en")).lines[0]?.position.budget).toBe(12_125)
    // A file of ours that went through a spreadsheet has its marks.
    const saved = "designation;budget;createdAt\nCook;12,125;1970"
    expect(readTable(saved, marksOf("de")).lines[0]?.position.budget).toBe(12.125)
  })

  it("names its columns in any order, or has none and the usual ones", () => {
    expect(readTable("Salary;City;Title\n5;Pune;Cook").lines[0]?.position).toMatchObject({
      designation: "Cook",
      budget: 5,
      location: "Pune",
    })
    expect(readTable("Cook\tKitchen\t5\tPune").lines[0]).toMatchObject({
      number: 1,
      position: { designation: "Cook", department: "Kitchen", budget: 5 },
    })
  })

  it("tells of columns that it leaves out, also if another one means the same", () => {
    const { lines, ignored } = readTable("Title,Salary,Notes,Cost\nCook,5,x,7")
    expect(lines[0]?.position).toMatchObject({ designation: "Cook", budget: 5 })
    expect(ignored).toEqual(["Notes", "Cost"])
  })

  it("tells of each line why it cannot be taken", () => {
    const { lines } = readTable("designation,budget\nCook,3\n,4\nWaiter,many\nClerk,-1\n\nHost,5")
    expect(lines.map(({ number, problem }) => [number, problem === null])).toEqual([
      [2, true],
      [3, false],
      [4, false],
      [5, false],
      [7, true],
    ])
  })

  it.each([
    ["", "There is nothing in it."],
    ["designation,budget\n", "There is nothing in it but the names of the columns."],
    ["budget,location\n1,Pune", "No column is called “designation”."],
    ['designation,budget\n"Cook,1', "Line 2 has a quotation mark that is never closed."],
  ])("of %j it says %j", (text, problem) => expect(readTable(text).problem).toBe(problem))
})
