/** CSV export of positions. An import reads the file back without loss. */
import Papa from "papaparse"
import { FIELDS } from "./fields"
import { toPlainDecimal } from "./format"
import { escapeFormulas, needsQuotes } from "./formula-escaping"
import { type Position, shownValue } from "./schema"
import { calculatedColumns, isCalculated } from "./table-export/calculated"
import { type ExportTable, extraColumns, extraHead, ownHead } from "./table-export/table"

/** The columns of the last edit and of the creation. */
const EDIT_COLUMNS = ["updatedBy", "updatedAt", "createdAt"] as const
/**
 * The fields before {@link EDIT_COLUMNS}. Later fields come after them, as in the files of the server: no column has changed its place since
 * the first version.
 */
const [FIRST_FIELDS, LATER_FIELDS] = [FIELDS.slice(0, 4), FIELDS.slice(4)]

/** A column after those that every file has. */
interface FurtherColumn {
  /** Its place among the columns that the server writes as well. */
  name: string
  head: string
  cell: (position: Position) => string
}

/** Returns the rows in the order of the list, ready for a spreadsheet. */
export function toCsv(table: ExportTable): string {
  const further = furtherColumns(table)
  const rows = table.positions.map((position) => [
    toCell(position.id),
    ...FIRST_FIELDS.map((field) => toCell(shownValue(position, field))),
    toCell(position.updatedBy),
    toIso(position.updatedAt),
    toIso(position.createdAt),
    ...LATER_FIELDS.map((field) => toCell(shownValue(position, field))),
    ...further.map(({ cell }) => cell(position)),
  ])
  const head = ["id", ...FIRST_FIELDS, ...EDIT_COLUMNS, ...LATER_FIELDS, ...further.map(({ head }) => head)]
  return `\ufeff${Papa.unparse([head, ...rows], { newline: "\r\n", quotes: (cell: unknown) => needsQuotes(String(cell)) })}\r\n`
}

const toCell = (value: string | number | boolean | null | undefined): string =>
  typeof value === "number" ? toPlainDecimal(value) : escapeFormulas(String(value ?? ""))

const toIso = (at: number | null): string => (at === null ? "" : new Date(at).toISOString())

/** The columns of the plan, those that the server lists by name as well, and those that only the page calculates. */
function furtherColumns(table: ExportTable): FurtherColumn[] {
  const calculated = calculatedColumns(table).map(
    (column): FurtherColumn => ({
      name: column.name,
      head: column.name,
      cell: (position) => (column.kind === "time" ? toIso(column.read(position)) : toCell(column.read(position))),
    }),
  )
  const own = table.own.map(
    (column): FurtherColumn => ({
      name: column.key,
      head: toCell(ownHead(column, table.own)),
      cell: (position) => toCell(shownValue(position, column.key)),
    }),
  )
  const extra = extraColumns(table).map(
    (key): FurtherColumn => ({
      name: key,
      head: toCell(extraHead(key, table.own)),
      cell: ({ id }) => toCell(table.extras.get(id)?.[key]),
    }),
  )
  const stored = [...calculated.filter(({ name }) => !isCalculated(name)), ...extra]
  stored.sort((one, other) => (one.name < other.name ? -1 : one.name > other.name ? 1 : 0))
  return [...own, ...stored, ...calculated.filter(({ name }) => isCalculated(name))]
}
