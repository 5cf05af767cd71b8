/**
 * Parses a table of positions: splits it into cells, proposes the columns, reads the lines.
 *
 * Nothing is guessed: skipped lines and rejected values are reported with a reason.
 */
import { type AmountFormat, CANONICAL_SEPARATORS, parseAmount } from "../amount"
import { FIELDS, type OwnColumn } from "../fields"
import { unitName } from "../format"
import { splitCells } from "./delimiter"
import { findHeader, type Header, isExportColumn, widthOf } from "./header"
import { isExportedTable, type LineContext, parseLine } from "./lines"
import { headerOf, type Mapping, proposeMapping } from "./mapping"
import { failedPreview, type ImportPreview } from "./preview"
import { type RawTable, textTable } from "./raw-table"
import { dateOrdersOf, dropForeignColumns } from "./value-columns"

export const MAX_LINES = 20_000

/** Splits text separated by commas, semicolons, tabs or bars. `own`: here and below, the columns of the plan. */
export function readTextTable(text: string, format: AmountFormat, own: readonly OwnColumn[] = []): RawTable | { problem: string } {
  const { rows, delimiter, lineOffset, problem } = splitCells(text.startsWith("\ufeff") ? text.slice(1) : text, format)
  if (problem !== null) return { problem }
  const header = rows[findHeader(rows, own)?.row ?? -1] ?? []
  return textTable(rows, { lineOffset, separators: isExportedTable(header, delimiter) ? CANONICAL_SEPARATORS : null })
}

/** Parses text with the proposed columns. `format`: that of the plan to import into. */
export function parseTable(text: string, format: AmountFormat): ImportPreview {
  const table = readTextTable(text, format)
  if ("problem" in table) return failedPreview(table.problem)
  if (isEmpty(table)) return failedPreview("The table is empty.")
  const { mapping, problem } = proposeMapping(table, format, () => false)
  return problem === null ? parseRows(table, mapping, format) : failedPreview(problem)
}

export const isEmpty = ({ rows }: RawTable): boolean => rows.every((row) => widthOf(row) === 0)

/** Reads the lines of a table. */
export function parseRows(table: RawTable, mapping: Mapping, format: AmountFormat, own: readonly OwnColumn[] = []): ImportPreview {
  const header = headerOf(table, mapping)
  const currencyProblem = checkCurrency(header, format)
  if (currencyProblem !== null) return failedPreview(currencyProblem)
  const unit = mapping.unit ?? format.unit
  const notes = [...table.notes, ...headerNotes(table, mapping), ...notesFor(header, unit, format, mapping.targets.includes("id"))]
  const ignored = header.ignored.filter((head) => !isExportColumn(head))
  const preview: ImportPreview = { lines: [], skipped: [], problem: null, ignored, notes }
  for (const [at, row] of table.rows.slice(0, Math.max(header.row, 0)).entries())
    if (widthOf(row) > 0) preview.skipped.push({ number: at + 1 + table.lineOffset, reason: "comes before the header" })
  const context: LineContext = {
    table,
    header,
    idColumn: mapping.targets.indexOf("id"),
    unit,
    format: table.separators ? { ...format, separators: table.separators } : format,
    dateOrders: dateOrdersOf(header, table.rows.slice(header.row + 1), own),
    own,
  }
  for (let at = header.row + 1; at < table.rows.length; at += 1) {
    if (!mapping.hasHiddenRows && table.hiddenRows.has(at)) {
      if (widthOf(table.rows[at] ?? []) > 0) preview.skipped.push({ number: at + 1 + table.lineOffset, reason: "is hidden" })
      continue
    }
    const read = parseLine(at, context)
    if (read === null) continue
    if ("line" in read) preview.lines.push(read.line)
    else preview.skipped.push(read.skipped)
    if (preview.lines.length > MAX_LINES)
      return failedPreview(`The table has more than ${MAX_LINES.toLocaleString()} positions. Split it into several files.`)
  }
  if (preview.lines.length === 0)
    preview.problem = header.row < 0 ? "The table has no positions." : "The table has a header but no positions."
  return preview
}

/** Why columns with a known name are not imported, unless the user imports them all the same. */
function headerNotes({ rows }: RawTable, { headerRow, targets }: Mapping): string[] {
  const found = headerRow < 0 ? null : findHeader(rows.slice(headerRow, headerRow + 1))
  if (!found) return []
  const judged = dropForeignColumns(found, rows.slice(headerRow + 1))
  return FIELDS.some((field) => found.columns[field] && !judged.columns[field] && targets.includes(field)) ? found.notes : judged.notes
}

/** A budget column in another currency rejects the whole table. */
function checkCurrency({ columns: { budget } }: Header, format: AmountFormat): string | null {
  if (!budget?.currency || "value" in parseAmount(`${budget.currency} 1`, format)) return null
  return `“${budget.head}” is not in ${format.currency}, the currency of this plan. Convert the amounts first.`
}

function notesFor({ columns: { budget } }: Header, unit: number, format: AmountFormat, isUpdate: boolean): string[] {
  if (!budget) return [`This table has no budget column. Budgets ${isUpdate ? "of new positions " : ""}will be unknown.`]
  if (unit === format.unit) return []
  return [
    `“${budget.head}” is in ${unitName(unit) || "single units"}; amounts are converted to ${unitName(format.unit) || "single units"}.`,
  ]
}
