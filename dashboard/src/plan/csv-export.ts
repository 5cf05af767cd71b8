/**
 * CSV export of positions. An import reads the file back without loss.
 *
 * The name of a calculated column is in square brackets, and an import ignores it. An import also ignores the record of an approval: who
 * imports an approved position approves it.
 */
import Papa from "papaparse"
import { measure } from "./cost"
import { FIELDS, isAmountField } from "./fields"
import { toPlainDecimal } from "./format"
import { escapeFormulas, needsQuotes } from "./formula-escaping"
import { type Position, shownValue } from "./schema"
import { monthsFrom } from "./year"

type Cell = string | number | null
interface Column {
  name: string
  read: (position: Position) => Cell
}

const toIso = (at: number | null): string => (at === null ? "" : new Date(at).toISOString())

const COLUMNS: readonly Column[] = [
  // A choice or month that is not valid is exported as it is, so that it is not lost.
  ...FIELDS.map((key): Column => ({ name: key, read: (position) => (isAmountField(key) ? position[key] : shownValue(position, key)) })),
  { name: "createdAt", read: ({ createdAt }) => toIso(createdAt) },
  { name: "updatedAt", read: ({ updatedAt }) => toIso(updatedAt) },
  { name: "updatedBy", read: ({ updatedBy }) => updatedBy },
]
const APPROVAL_COLUMNS: readonly Column[] = [
  { name: "approvedBudget", read: ({ approval }) => approval?.budget ?? null },
  { name: "approvedAt", read: ({ approval }) => toIso(approval?.at ?? null) },
  { name: "approvedBy", read: ({ approval }) => approval?.by ?? "" },
]

/** The cost in the twelve months from `yearStart`. Unknown for an unknown budget. */
function costColumn(yearStart: string): Column {
  const months = monthsFrom(yearStart)
  return {
    name: `[cost ${months[0]} to ${months.at(-1)}]`,
    read: (position) => (position.budget === null ? null : measure([position], "thisYear", yearStart)),
  }
}

const hasMonths = (position: Position): boolean => position.start !== null || position.end !== null

/**
 * Returns the rows in the order of the list, ready for a spreadsheet. Approvals have columns if there is one, and so has the cost of the year
 * from `yearStart` if a position starts or ends.
 */
export function toCsv(positions: readonly Position[], yearStart: string): string {
  const columns = [
    ...COLUMNS,
    ...(positions.some(({ approval }) => approval !== null) ? APPROVAL_COLUMNS : []),
    ...(positions.some(hasMonths) ? [costColumn(yearStart)] : []),
  ]
  const cell = (value: Cell) => (typeof value === "number" ? toPlainDecimal(value) : escapeFormulas(value ?? ""))
  const rows = positions.map((position) => columns.map(({ read }) => cell(read(position))))
  const table = [columns.map(({ name }) => name), ...rows]
  return `\ufeff${Papa.unparse(table, { newline: "\r\n", quotes: (cell: unknown) => needsQuotes(String(cell)) })}\r\n`
}
