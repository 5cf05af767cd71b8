import { readFileSync } from "node:fs"
import Papa from "papaparse"
import { describe, expect, it } from "vitest"
import { separatorsOf } from "../../src/plan/amount"
import { toCsv as toCsvFile } from "../../src/plan/csv-export"
import { FIELDS, type FieldKey } from "../../src/plan/fields"
import { escapeFormulas, unescapeFormulas } from "../../src/plan/formula-escaping"
import type { Position } from "../../src/plan/schema"
import { parseTable } from "../../src/plan/table-import"
import { planColumn } from "./support/columns"
import { exportTable, shownPosition } from "./support/position"

interface Guarded {
  text: string
  cell: string
  written: string
}
const CELLS = (JSON.parse(readFileSync(`${import.meta.dirname}/../../../tests/fixtures/csv-guard.json`, "utf8")) as { cells: Guarded[] })
  .cells
const toCsv = (positions: Position[]) => toCsvFile(exportTable(positions))
const SCALE = { currency: "INR", unit: 100_000 }

const position = (designation: string, location = "", budget: number | null = 1): Position =>
  shownPosition({ designation, location, budget, createdAt: 0 })

/** A line of an export, with the other cells empty. */
const line = (cells: Partial<Record<FieldKey, string>>) => {
  const texts = FIELDS.map((field) => cells[field] ?? "")
  return `\r\n${["a", ...texts.slice(0, 4), "", "", "1970-01-01T00:00:00.000Z", ...texts.slice(4)].join(",")}\r\n`
}

describe("formula escaping", () => {
  it.each(CELLS)("$text is escaped as on the server", ({ text, cell, written }) => {
    expect(escapeFormulas(text)).toBe(cell)
    expect(unescapeFormulas(cell)).toBe(text)
    expect(toCsv([position("Cook", text)])).toContain(line({ designation: "Cook", budget: "1", location: written }))
  })

  it("leaves no formula at any other separator", () => {
    const written = toCsv(CELLS.flatMap(({ text }) => [position("Cook", text), position(`x;${text}`, `"${text}`)]))
    for (const delimiter of [",", ";", "\t", "|"])
      for (const quoteChar of ['"', "\0"]) {
        const { data } = Papa.parse<string[]>(written, { delimiter, quoteChar })
        const formulas = data.flat().filter((cell) => /^["\s]*[=+\-@＝＋－＠]/.test(cell))
        // With quotation marks read as letters, commas split texts at more places than any real program does.
        if (quoteChar === '"' || delimiter !== ",") expect(formulas).toEqual([])
      }
  })

  it("is reversible for texts with apostrophes", () => {
    const letters = ["'", "=", "＝", ";", "\t", "\n", '"', " ", "a"]
    const texts = letters.flatMap((a) => letters.flatMap((b) => letters.flatMap((c) => letters.map((d) => a + b + c + d))))
    for (const text of texts) expect(unescapeFormulas(escapeFormulas(text))).toBe(text)
  })
})

describe("an exported file", () => {
  it("has the columns of the server's file, in its order", () => {
    const [head] = toCsv([position("Cook")])
      .replace("\ufeff", "")
      .split("\r\n")
    expect(head).toBe("id,designation,department,budget,location,updatedBy,updatedAt,createdAt,status,start,end")
  })

  it("has the columns of a plan before those of other programs, by name", () => {
    const extras = new Map([["a", { zone: 1, Area: "b" }]])
    const approved = { ...position("Cook"), start: "2027-06", approval: { budget: 1, at: 0, by: "CFO" } }
    const table = { ...exportTable([approved], extras), own: [planColumn("col1", { label: "Grade" })] }
    const columns = toCsvFile(table).split("\r\n")[0]?.split(",").slice(11)
    expect(columns).toEqual(["Grade", "Area", "approvedAt", "approvedBudget", "approvedBy", "zone", "[cost 2027-04 to 2028-03]"])
  })

  it("is imported without loss", () => {
    const texts = [...CELLS.map(({ text }) => text), "a,b;c", "two\nlines", "\u200b", "'"]
    const { lines, problem } = parseTable(toCsv(texts.map((text) => position("x", text))), SCALE)
    expect(problem).toBeNull()
    expect(lines.map((line) => line.position.location)).toEqual(texts)
  })

  it.each(["de", "fr", "en-IN", "en"])("keeps its numbers when read in %s", (language) => {
    const budgets = [12.125, 12_125, 1e-7, 0.5, null]
    const written = toCsv(budgets.map((budget) => position("Cook", "", budget)))
    const { lines } = parseTable(written, { ...SCALE, separators: separatorsOf(language) })
    expect(lines.map((line) => line.position.budget)).toEqual(budgets)
  })

  it("is distinguished from files of other programs", () => {
    const budget = (text: string, language: string) =>
      parseTable(text, { ...SCALE, separators: separatorsOf(language) }).lines[0]?.position.budget
    const others = "designation;budget\nCook;12,125"
    expect(budget(others, "de")).toBe(12.125)
    expect(budget(others, "en")).toBe(12_125)
    // An exported file that was saved by a spreadsheet has the separators of the locale.
    expect(budget("designation;budget;createdAt\nCook;12,125;1970", "de")).toBe(12.125)
  })
})
