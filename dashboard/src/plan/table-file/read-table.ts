/**
 * Reads a table of positions: split into cells, find the names of the columns, read the lines.
 *
 * Nothing is guessed. What is left out is named, and what cannot be taken says why.
 */
import { readAmount, type Scale } from "../amount"
import { unitName } from "../money"
import { splitCells } from "./delimiter"
import { findHeader, type Header, headless, widthOf } from "./header"
import { problemWithHeadless } from "./headless"
import { type ReadLine, readLine, scaleOf } from "./lines"
import { type Preview, refusal } from "./preview"

const MAX_LINES = 20_000

/** Reads a text of comma, semicolon, tab or bar separated values. `scale`: of the plan that the positions go to. */
export function readTable(text: string, scale: Scale): Preview {
  const { rows, delimiter, before, problem } = splitCells(text.startsWith("\ufeff") ? text.slice(1) : text, scale)
  if (problem !== null) return refusal(problem)
  if (rows.every((row) => widthOf(row) === 0)) return refusal("The table is empty.")
  const found = findHeader(rows)
  const unreadable = found ? found.problem : problemWithHeadless(rows, scale)
  if (unreadable !== null) return refusal(unreadable)
  const header = found ?? headless()
  const foreign = problemWithCurrency(header, scale)
  if (foreign !== null) return refusal(foreign)

  const heads = rows[header.row] ?? []
  const preview: Preview = { ...refusal(""), problem: null, ignored: header.ignored, notes: notesOn(header, scale) }
  for (const [at, row] of rows.slice(0, Math.max(header.row, 0)).entries())
    if (widthOf(row) > 0) preview.skipped.push({ number: at + 1 + before, reason: "comes before the names of the columns" })
  const reading = { header, heads, scale: scaleOf(heads, delimiter, scale) }
  for (let at = header.row + 1; at < rows.length; at += 1) {
    const read = readLine(at + 1 + before, rows[at] ?? [], reading)
    keep(preview, read)
    if (preview.lines.length > MAX_LINES)
      return refusal(`The table has more than ${MAX_LINES.toLocaleString()} positions. Split it into several files.`)
  }
  if (preview.lines.length === 0) preview.problem = "There are no positions in the table, only names of columns."
  return preview
}

function keep(preview: Preview, read: ReadLine): void {
  if (read === null) return
  if ("line" in read) preview.lines.push(read.line)
  else preview.skipped.push(read.skipped)
}

/** A column in another currency is refused at once, and not line by line. */
function problemWithCurrency({ columns: { budget } }: Header, scale: Scale): string | null {
  if (!budget?.currency || "value" in readAmount(`${budget.currency} 1`, scale)) return null
  return `“${budget.head}” is not in ${scale.currency}, the currency of this plan. Convert the amounts first.`
}

function notesOn({ columns: { budget }, notes }: Header, scale: Scale): string[] {
  const all = [...notes]
  if (!budget) all.push("This table has no budget column. The budgets of its positions will be unknown.")
  else if (budget.unit !== "" && budget.unit !== unitName(scale.unit))
    all.push(`“${budget.head}” counts in ${budget.unit}; the amounts are converted to ${unitName(scale.unit) || "single units"}.`)
  return all
}
