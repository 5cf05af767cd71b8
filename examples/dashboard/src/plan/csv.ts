/**
 * Tables in and out: CSV files, and rows copied from a spreadsheet.
 *
 * A text cell that a spreadsheet would run as a formula goes out with an apostrophe in front; reading takes exactly that one
 * off again, so what went out comes back as it was.
 */
import Papa from "papaparse"
import { isBlankAmount, type Marks, POINT, READERS, readAmount } from "./amount"
import { type NewPosition, problemWith } from "./edit"
import { digits } from "./money"
import { FIELDS, type Field, type Position } from "./schema"

const COLUMNS = [...FIELDS, "createdAt", "updatedAt", "updatedBy"] as const
/** Apostrophes that stand there already count as well: else one that was typed would be taken off. */
const DANGEROUS = /^'*[=+\-@\t\r\n]/
const GUARDED = /^'+[=+\-@\t\r\n]/

export const guard = (text: string): string => (DANGEROUS.test(text) ? `'${text}` : text)
export const unguard = (text: string): string => (GUARDED.test(text) ? text.slice(1) : text)

/** A file that opens in a spreadsheet, in the order of the list. */
export function toCsv(positions: readonly Position[]): string {
  const iso = (at: number | null) => (at === null ? "" : new Date(at).toISOString())
  const rows = positions.map((position) => [
    guard(position.designation),
    guard(position.department),
    position.budget === null ? "" : digits(position.budget),
    guard(position.location),
    iso(position.createdAt),
    iso(position.updatedAt),
    guard(position.updatedBy),
  ])
  return `\ufeff${Papa.unparse([[...COLUMNS], ...rows], { newline: "\r\n" })}\r\n`
}

/** A line that was read. */
export interface Line {
  /** As a spreadsheet counts them. */
  number: number
  position: NewPosition
  /** Why it cannot be taken; null: it can. */
  problem: string | null
}

export interface Preview {
  lines: Line[]
  /** Columns that say nothing here. */
  ignored: string[]
  /** Why nothing can be taken at all. */
  problem: string | null
}

const MAX_LINES = 20_000

const NAMES: Record<string, Field> = {
  designation: "designation",
  position: "designation",
  title: "designation",
  "job title": "designation",
  role: "designation",
  department: "department",
  dept: "department",
  team: "department",
  budget: "budget",
  salary: "budget",
  amount: "budget",
  cost: "budget",
  location: "location",
  city: "location",
  office: "location",
}

function column(name: string): Field | undefined {
  const bare = name
    .replace(/\(.*\)/, "")
    .trim()
    .toLowerCase()
  return Object.hasOwn(NAMES, bare) ? NAMES[bare] : undefined
}

/**
 * Reads a table. The first line may name the columns; if it does not, they are designation, department, budget, location.
 * `marks`: of its numbers; the reader's, if nothing else is known.
 */
export function readTable(text: string, marks?: Marks): Preview {
  const content = text.startsWith("\ufeff") ? text.slice(1) : text
  const delimiter = guessDelimiter(content)
  const parse = (quoteChar: string) => Papa.parse<string[]>(content, { skipEmptyLines: false, delimiter, quoteChar })
  const hasQuotes = (errors: Papa.ParseError[]) => errors.some((error) => error.type === "Quotes")
  let parsed = parse('"')
  // Not every program that puts tabs between cells puts quotation marks around them.
  if (delimiter === "\t" && hasQuotes(parsed.errors)) parsed = parse("\0")
  const rows = parsed.data
  const preview: Preview = { lines: [], ignored: [], problem: null }
  const fatal = parsed.errors.find((error) => error.type === "Quotes")
  if (fatal) {
    preview.problem = `Line ${(fatal.row ?? 0) + 1} has a quotation mark that is never closed.`
    return preview
  }
  const first = rows.findIndex((row) => row.some((cell) => cell.trim() !== ""))
  const head = rows[first]
  if (!head) {
    preview.problem = "There is nothing in it."
    return preview
  }
  const meant = head.map(column)
  const hasHead = meant.filter(Boolean).length >= 2 || (head.length === 1 && meant[0] !== undefined)
  // Of two columns that mean the same the first one counts.
  const named = meant.map((field, at) => (meant.indexOf(field) === at ? field : undefined))
  const columns: (Field | undefined)[] = hasHead ? named : [...FIELDS]
  if (hasHead) preview.ignored = head.filter((name, at) => !named[at] && name.trim() !== "" && !isOwn(name))
  if (!columns.includes("designation")) {
    preview.problem = "No column is called “designation”."
    return preview
  }
  // Files that this page or the server wrote have a point, wherever they are read.
  const isOurs = hasHead && delimiter === "," && head.includes("createdAt")
  for (let at = first + (hasHead ? 1 : 0); at < rows.length; at += 1) {
    const cells = rows[at] ?? []
    if (cells.every((cell) => cell.trim() === "")) continue
    if (preview.lines.length >= MAX_LINES) {
      preview.problem = `More than ${MAX_LINES.toLocaleString()} lines do not fit at once.`
      break
    }
    preview.lines.push(readLine(at + 1, cells, columns, isOurs ? POINT : marks))
  }
  if (preview.lines.length === 0) preview.problem ??= "There is nothing in it but the names of the columns."
  return preview
}

const isOwn = (name: string): boolean => (COLUMNS as readonly string[]).includes(name) || name === "id"

/** What stands between the cells: a spreadsheet's clipboard has tabs, files have commas or semicolons. */
function guessDelimiter(text: string): string {
  const end = text.search(/[\r\n]/)
  const line = (end < 0 ? text : text.slice(0, end)).replace(/"[^"]*"/g, "")
  const count = (mark: string) => line.split(mark).length
  return ["\t", ";"].reduce((best, mark) => (count(mark) > count(best) ? mark : best), ",")
}

function readLine(number: number, cells: string[], columns: (Field | undefined)[], marks: Marks | undefined): Line {
  const cell = (field: Field) => {
    const at = columns.indexOf(field)
    return at < 0 ? "" : (cells[at] ?? "")
  }
  const budget = cell("budget").trim()
  const isBlank = isBlankAmount(budget)
  // A table does not know the plan's unit, so an amount cannot name another.
  const read = isBlank ? { value: null } : readAmount(unguard(budget), { marks: marks ?? READERS, unit: Number.NaN })
  const position: NewPosition = {
    designation: unguard(cell("designation")),
    department: unguard(cell("department")),
    budget: "value" in read ? read.value : null,
    location: unguard(cell("location")),
  }
  const problem =
    "problem" in read ? read.problem : (FIELDS.map((field) => problemWith(field, position[field])).find((found) => found !== null) ?? null)
  return { number, position, problem }
}
