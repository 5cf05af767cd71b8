/** CSV export of positions. An import reads the file back without loss. */
import Papa from "papaparse"
import { FIELDS } from "./fields"
import { toPlainDecimal } from "./format"
import { escapeFormulas, needsQuotes } from "./formula-escaping"
import { shownValue } from "./schema"
import { calculatedColumns } from "./table-export/calculated"
import { type ExportTable, extraColumns, extraHead, ownHead } from "./table-export/table"

/** The columns after the fields, as the server writes them. */
const LAST_COLUMNS = ["updatedBy", "updatedAt", "createdAt"] as const

/** Returns the rows in the order of the list, ready for a spreadsheet. */
export function toCsv(table: ExportTable): string {
  const cell = (value: string | number | boolean | null | undefined) =>
    typeof value === "number" ? toPlainDecimal(value) : escapeFormulas(String(value ?? ""))
  const iso = (at: number | null) => (at === null ? "" : new Date(at).toISOString())
  const calculated = calculatedColumns(table)
  const extra = extraColumns(table)
  const rows = table.positions.map((position) => [
    cell(position.id),
    ...FIELDS.map((field) => cell(shownValue(position, field))),
    cell(position.updatedBy),
    iso(position.updatedAt),
    iso(position.createdAt),
    ...table.own.map(({ key }) => cell(shownValue(position, key))),
    ...calculated.map((column) => (column.kind === "time" ? iso(column.read(position)) : cell(column.read(position)))),
    ...extra.map((key) => cell(table.extras.get(position.id)?.[key])),
  ])
  const own = table.own.map((column) => cell(ownHead(column, table.own)))
  const head = [
    "id",
    ...FIELDS,
    ...LAST_COLUMNS,
    ...own,
    ...calculated.map(({ name }) => name),
    ...extra.map((key) => cell(extraHead(key, table.own))),
  ]
  return `\ufeff${Papa.unparse([head, ...rows], { newline: "\r\n", quotes: (cell: unknown) => needsQuotes(String(cell)) })}\r\n`
}
