/**
 * Parses a table of positions: splits it into cells, finds the header, reads the lines.
 *
 * Nothing is guessed: skipped lines and rejected values are reported with a reason.
 */
import { type AmountFormat, parseAmount } from "../amount"
import { unitName } from "../format"
import { splitCells } from "./delimiter"
import { defaultHeader, findHeader, type Header, widthOf } from "./header"
import { validateHeaderless } from "./headerless"
import { amountFormatOf, type LineContext, type ParsedLine, parseLine } from "./lines"
import { failedPreview, type ImportPreview } from "./preview"
import { dateOrdersOf, dropForeignColumns } from "./value-columns"

const MAX_LINES = 20_000

/** Parses text separated by commas, semicolons, tabs or bars. `format`: that of the plan to import into. */
export function parseTable(text: string, format: AmountFormat): ImportPreview {
  const { rows, delimiter, lineOffset, problem: splitProblem } = splitCells(text.startsWith("\ufeff") ? text.slice(1) : text, format)
  if (splitProblem !== null) return failedPreview(splitProblem)
  if (rows.every((row) => widthOf(row) === 0)) return failedPreview("The table is empty.")
  const foundHeader = findHeader(rows)
  const problem = foundHeader ? foundHeader.problem : validateHeaderless(rows, format)
  if (problem !== null) return failedPreview(problem)
  const header = foundHeader ? dropForeignColumns(foundHeader, rows.slice(foundHeader.row + 1)) : defaultHeader()
  const currencyProblem = checkCurrency(header, format)
  if (currencyProblem !== null) return failedPreview(currencyProblem)

  const headerCells = rows[header.row] ?? []
  const preview: ImportPreview = { ...failedPreview(""), problem: null, ignored: header.ignored, notes: notesFor(header, format) }
  for (const [at, row] of rows.slice(0, Math.max(header.row, 0)).entries())
    if (widthOf(row) > 0) preview.skipped.push({ number: at + 1 + lineOffset, reason: "comes before the header" })
  const context: LineContext = {
    header,
    headerCells,
    format: amountFormatOf(headerCells, delimiter, format),
    dateOrders: dateOrdersOf(header, rows.slice(header.row + 1)),
  }
  for (let at = header.row + 1; at < rows.length; at += 1) {
    const read = parseLine(at + 1 + lineOffset, rows[at] ?? [], context)
    collect(preview, read)
    if (preview.lines.length > MAX_LINES)
      return failedPreview(`The table has more than ${MAX_LINES.toLocaleString()} positions. Split it into several files.`)
  }
  if (preview.lines.length === 0) preview.problem = "The table has a header but no positions."
  return preview
}

function collect(preview: ImportPreview, read: ParsedLine): void {
  if (read === null) return
  if ("line" in read) preview.lines.push(read.line)
  else preview.skipped.push(read.skipped)
}

/** A budget column in another currency rejects the whole table. */
function checkCurrency({ columns: { budget } }: Header, format: AmountFormat): string | null {
  if (!budget?.currency || "value" in parseAmount(`${budget.currency} 1`, format)) return null
  return `“${budget.head}” is not in ${format.currency}, the currency of this plan. Convert the amounts first.`
}

function notesFor({ columns: { budget }, notes }: Header, format: AmountFormat): string[] {
  const all = [...notes]
  if (!budget) all.push("This table has no budget column. Budgets will be unknown.")
  else if (budget.unit !== "" && budget.unit !== unitName(format.unit))
    all.push(`“${budget.head}” is in ${budget.unit}; amounts are converted to ${unitName(format.unit) || "single units"}.`)
  return all
}
