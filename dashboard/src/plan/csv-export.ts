/** CSV export of positions. An import reads the file back without loss. */
import Papa from "papaparse"
import { FIELDS, isAmountField } from "./fields"
import { toPlainDecimal } from "./format"
import { escapeFormulas, needsQuotes } from "./formula-escaping"
import { type Position, shownValue } from "./schema"

const COLUMNS = [...FIELDS, "createdAt", "updatedAt", "updatedBy"] as const

/** Returns the rows in the order of the list, ready for a spreadsheet. */
export function toCsv(positions: readonly Position[]): string {
  const cell = (value: string | number | null) => (typeof value === "number" ? toPlainDecimal(value) : escapeFormulas(value ?? ""))
  const iso = (at: number | null) => (at === null ? "" : new Date(at).toISOString())
  const rows = positions.map((position) => [
    // A choice or month that is not valid is exported as it is, so that it is not lost.
    ...FIELDS.map((field) => cell(isAmountField(field) ? position[field] : shownValue(position, field))),
    iso(position.createdAt),
    iso(position.updatedAt),
    escapeFormulas(position.updatedBy),
  ])
  return `\ufeff${Papa.unparse([[...COLUMNS], ...rows], { newline: "\r\n", quotes: (cell: unknown) => needsQuotes(String(cell)) })}\r\n`
}
