/** Parses the lines below the header. */
import { type AmountFormat, CANONICAL_SEPARATORS, isBlankAmount, parseAmount } from "../amount"
import { parseChoice } from "../choice"
import { codesOf } from "../currencies"
import { type NewPosition, validateField } from "../edit"
import {
  type ChoiceKey,
  FIELDS,
  type FieldKey,
  fieldLabel,
  fieldValues,
  isAmountField,
  isMonthField,
  isTextField,
  type MonthKey,
  TEXT_FIELDS,
} from "../fields"
import { unescapeFormulas } from "../formula-escaping"
import { type DateOrder, parseMonth } from "../month"
import { isBlank } from "../text"
import { type Header, widthOf } from "./header"
import type { ImportLine, SkippedLine } from "./preview"

/** A position, a skipped line with the reason, or `null` for a blank line. */
export type ParsedLine = { line: ImportLine } | { skipped: SkippedLine } | null

/** Lines with totals. */
const TOTAL = /^(grand |overall |sub[ -]?)?(total|sum)s?:?$/i
const TOTAL_OF = /^(grand |sub[ -]?)?totals? (budget|cost|salary|amount|headcount|positions?|for|of)\b.*$|^.+ (sub[ -]?)?total:?$/i

/** Context for parsing the lines of a table. */
export interface LineContext {
  header: Header
  /** Cells of the header row. */
  headerCells: readonly string[]
  format: AmountFormat
  /** Order of day and month in the dates of a column, where one of its dates shows it. */
  dateOrders: Partial<Record<MonthKey, DateOrder>>
}

/** Parses one row; `null` if it is blank. */
export function parseLine(number: number, row: readonly string[], context: LineContext): ParsedLine {
  const { header, headerCells } = context
  const width = widthOf(row)
  if (width === 0) return null
  if (header.row >= 0 && isRepeatedHeader(row, headerCells)) return { skipped: { number, reason: "repeats the header" } }
  if (isTotal(row, header)) return { skipped: { number, reason: "is a total" } }
  const cell = (field: FieldKey) => row[header.columns[field]?.at ?? -1] ?? ""
  const problems: string[] = []
  const position = fieldValues((field) => {
    if (isTextField(field)) return unescapeFormulas(cell(field))
    const read = isAmountField(field) ? readBudget(cell(field), context) : readOther(field, cell(field), context)
    if ("value" in read) return read.value
    problems.push(`${fieldLabel(field)}: ${read.problem}`)
    return null
  })
  const problem =
    width > header.width
      ? `${width} cells, ${header.width} ${header.width === 1 ? "column" : "columns"}. Quote cells that contain the separator.`
      : (problems[0] ?? validateTexts(position))
  return { line: { number, position, problem } }
}

function validateTexts(position: NewPosition): string | null {
  for (const field of FIELDS) {
    const problem = validateField(field, position[field])
    if (problem !== null) return `${fieldLabel(field)}: ${problem}`
  }
  return null
}

const isRepeatedHeader = (row: readonly string[], headerCells: readonly string[]): boolean =>
  widthOf(row) === widthOf(headerCells) && headerCells.every((head, at) => head.trim() === (row[at] ?? "").trim())

function isTotal(row: readonly string[], { columns }: Header): boolean {
  const text = (field: FieldKey) => (row[columns[field]?.at ?? -1] ?? "").trim()
  const designation = text("designation")
  if (TOTAL.test(designation)) return true
  if (isBlank(designation)) return row.some((cell) => TOTAL.test(cell.trim()) || TOTAL_OF.test(cell.trim()))
  return TOTAL_OF.test(designation) && TEXT_FIELDS.every((field) => field === "designation" || isBlank(text(field)))
}

/** Parses a choice or a month. */
const readOther = (field: ChoiceKey | MonthKey, text: string, { dateOrders }: LineContext) => {
  const cell = unescapeFormulas(text)
  return isMonthField(field) ? parseMonth(cell, dateOrders[field] ?? null) : parseChoice(field, cell)
}

/** Parses a budget in the unit of the plan. The unit of the column applies to amounts without their own unit. */
function readBudget(text: string, { header, format }: LineContext): { value: number | null } | { problem: string } {
  const cell = unescapeFormulas(text)
  const unit = header.columns.budget?.unit ?? ""
  if (isBlankAmount(cell)) return { value: null }
  const hasOwnUnit = (cell.match(/\p{L}+/gu) ?? []).some((word) => codesOf(word) === null && !/^e$/i.test(word))
  if (unit === "" || hasOwnUnit) return parseAmount(cell, format)
  const read = parseAmount(`${cell} ${unit}`, format)
  return "value" in read ? read : parseAmount(cell, format)
}

/** The number format of a table. Exported plans have a decimal point in every language. */
export const amountFormatOf = (headerCells: readonly string[], delimiter: string, format: AmountFormat): AmountFormat =>
  delimiter === "," && headerCells.includes("createdAt") ? { ...format, separators: CANONICAL_SEPARATORS } : format
