/** A table of positions as CSV. What it writes, `table-file` reads back as it was. */
import Papa from "papaparse"
import { toPlainDecimal } from "./format"
import { escapeFormulas, needsQuotes } from "./formula-escaping"
import { FIELDS, type Position } from "./schema"

const COLUMNS = [...FIELDS, "createdAt", "updatedAt", "updatedBy"] as const

/** A file that opens in a spreadsheet, in the order of the list. */
export function toCsv(positions: readonly Position[]): string {
  const iso = (at: number | null) => (at === null ? "" : new Date(at).toISOString())
  const rows = positions.map((position) => [
    escapeFormulas(position.designation),
    escapeFormulas(position.department),
    position.budget === null ? "" : toPlainDecimal(position.budget),
    escapeFormulas(position.location),
    iso(position.createdAt),
    iso(position.updatedAt),
    escapeFormulas(position.updatedBy),
  ])
  return `\ufeff${Papa.unparse([[...COLUMNS], ...rows], { newline: "\r\n", quotes: (cell: unknown) => needsQuotes(String(cell)) })}\r\n`
}
