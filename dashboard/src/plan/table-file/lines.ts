/** Reads the lines below the names of the columns. */
import { isBlankAmount, POINT, readAmount, type Scale } from "../amount"
import { codesOf } from "../currencies"
import { type NewPosition, problemWith } from "../edit"
import { unguard } from "../formula-guard"
import { FIELDS, type Field } from "../schema"
import { isBlank } from "../text"
import { type Header, widthOf } from "./header"
import type { Line, SkippedLine } from "./preview"

/** What a line is. */
export type ReadLine = { line: Line } | { skipped: SkippedLine } | null

/** A line that adds up others. */
const TOTAL = /^(grand |overall |sub[ -]?)?(total|sum)s?:?$/i
const TOTAL_OF = /^(grand |sub[ -]?)?totals? (budget|cost|salary|amount|headcount|positions?|for|of)\b.*$|^.+ (sub[ -]?)?total:?$/i

/** How the cells of a table are read. */
export interface Reading {
  header: Header
  /** Text of the cells that name the columns. */
  heads: readonly string[]
  scale: Scale
}

/** Reads a row. null: it is blank. */
export function readLine(number: number, row: readonly string[], reading: Reading): ReadLine {
  const { header, heads } = reading
  const width = widthOf(row)
  if (width === 0) return null
  if (header.row >= 0 && isSame(row, heads)) return { skipped: { number, reason: "repeats the names of the columns" } }
  if (isTotal(row, header)) return { skipped: { number, reason: "is a total" } }
  const cell = (field: Field) => row[header.columns[field]?.at ?? -1] ?? ""
  const budget = readBudget(cell("budget"), reading)
  const position: NewPosition = {
    designation: unguard(cell("designation")),
    department: unguard(cell("department")),
    budget: "value" in budget ? budget.value : null,
    location: unguard(cell("location")),
  }
  const problem =
    width > header.width
      ? `${width} cells, ${header.width} ${header.width === 1 ? "column" : "columns"}. A cell that holds the separator needs quotation marks.`
      : "problem" in budget
        ? `${HEADS.budget}: ${budget.problem}`
        : problemWithTexts(position)
  return { line: { number, position, problem } }
}

const HEADS: Record<Field, string> = { designation: "Designation", department: "Department", budget: "Budget", location: "Location" }

function problemWithTexts(position: NewPosition): string | null {
  for (const field of FIELDS) {
    const problem = problemWith(field, position[field])
    if (problem !== null) return `${HEADS[field]}: ${problem}`
  }
  return null
}

const isSame = (row: readonly string[], heads: readonly string[]): boolean =>
  widthOf(row) === widthOf(heads) && heads.every((head, at) => head.trim() === (row[at] ?? "").trim())

function isTotal(row: readonly string[], { columns }: Header): boolean {
  const text = (field: Field) => (row[columns[field]?.at ?? -1] ?? "").trim()
  const designation = text("designation")
  if (TOTAL.test(designation)) return true
  if (isBlank(designation)) return row.some((cell) => TOTAL.test(cell.trim()) || TOTAL_OF.test(cell.trim()))
  return TOTAL_OF.test(designation) && isBlank(text("department")) && isBlank(text("location"))
}

/** The budget in the plan's unit. A unit in the head of the column holds for amounts that name none. */
function readBudget(text: string, { header, scale }: Reading): { value: number | null } | { problem: string } {
  const cell = unguard(text)
  const unit = header.columns.budget?.unit ?? ""
  if (isBlankAmount(cell)) return { value: null }
  const hasOwnUnit = (cell.match(/\p{L}+/gu) ?? []).some((word) => codesOf(word) === null && !/^e$/i.test(word))
  if (unit === "" || hasOwnUnit) return readAmount(cell, scale)
  const read = readAmount(`${cell} ${unit}`, scale)
  return "value" in read ? read : readAmount(cell, scale)
}

/** The scale of a table: exports of plans have a decimal point, wherever they are read. */
export const scaleOf = (heads: readonly string[], delimiter: string, scale: Scale): Scale =>
  delimiter === "," && heads.includes("createdAt") ? { ...scale, marks: POINT } : scale
