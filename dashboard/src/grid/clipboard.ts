/**
 * Tables in the clipboard.
 *
 * Copied cells are written as tab-separated text and as an HTML table, as spreadsheets do. The HTML table names the currency and unit of
 * the plan, so that amounts are never pasted into a plan with another one.
 */
import Papa from "papaparse"
import type { OwnColumn } from "../plan/fields"
import { toEditText } from "../plan/format"
import { escapeFormulas } from "../plan/formula-escaping"
import type { FieldValue } from "../plan/schema"
import { findHeader } from "../plan/table-import"

/** Currency and unit of copied amounts. */
export interface AmountScale {
  currency: string
  unit: number
}

/** A rectangle of texts from the clipboard. All rows have the same length. */
export interface ClipboardTable {
  rows: string[][]
  /** Scale of the plan that the cells were copied from; `null` if another program copied them. */
  scale: AmountScale | null
}

/** The formats of a clipboard. */
export interface ClipboardText {
  text: string
  html: string
}

/** Marks an HTML table as copied from a plan. */
const SCALE_ATTRIBUTE = "data-happierwork-scale"

/** Writes a rectangle of values for the clipboard. Numbers are in the format of the browser's language; formulas are escaped. */
export function toClipboard(values: readonly (readonly FieldValue[])[], { currency, unit }: AmountScale): ClipboardText {
  const texts = values.map((row) => row.map((value) => (typeof value === "number" ? toEditText(value) : escapeFormulas(value ?? ""))))
  const rows = texts.map((row) => `<tr>${row.map((cell) => `<td>${escapeHtml(cell)}</td>`).join("")}</tr>`).join("")
  return {
    text: joinCells(texts),
    html: `<table ${SCALE_ATTRIBUTE}="${escapeHtml(`${currency} ${unit}`)}"><tbody>${rows}</tbody></table>`,
  }
}

/** Quotes a cell of a tab-separated table if it contains a separator or starts with a quotation mark. */
const quote = (cell: string): string => (/[\t\r\n]|^"/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell)

const joinCells = (rows: readonly (readonly string[])[]): string => rows.map((row) => row.map(quote).join("\t")).join("\n")

/** A table as text for the import. */
export const toTabSeparated = ({ rows }: ClipboardTable): string => joinCells(rows)

/** Whether the first row of a table names several fields, so that the table is to be imported instead of pasted onto cells. `own`: the columns of the plan. */
export function isImportTable({ rows }: ClipboardTable, own: readonly OwnColumn[] = []): boolean {
  if (rows.length < 2) return false
  const header = findHeader(rows.slice(0, 1), own)
  return header !== null && Object.keys(header.columns).length > 1
}

const ENTITIES: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" }
const escapeHtml = (text: string): string => text.replace(/[&<>"]/g, (mark) => ENTITIES[mark] ?? mark).replace(/\r\n|\r|\n/g, "<br>")

/** Reads a table. HTML is preferred if it contains exactly one table; its cells need no separators. */
export function readClipboard({ text, html }: ClipboardText): ClipboardTable {
  const found = html === "" ? null : readHtmlTable(html)
  return found ?? { rows: toRectangle(readTabSeparated(text)), scale: null }
}

/** Splits tab-separated text. Programs that do not quote cells may have single quotation marks in them. */
export function readTabSeparated(text: string): string[][] {
  const read = (quoteChar: string) => Papa.parse<string[]>(text, { delimiter: "\t", skipEmptyLines: false, quoteChar })
  let parsed = read('"')
  if (parsed.errors.some(({ type }) => type === "Quotes")) parsed = read("\0")
  const rows = parsed.data.map((row) => row.map((cell) => cell.replace(/\r$/, "")))
  // A table ends with a line break.
  while (rows.length > 1 && rows.at(-1)?.every((cell) => cell === "")) rows.pop()
  return rows
}

const toRectangle = (rows: string[][]): string[][] => {
  const width = Math.max(1, ...rows.map((row) => row.length))
  return rows.map((row) => [...row, ...Array<string>(width - row.length).fill("")])
}

/** Largest span of a cell that is followed. */
const MAX_SPAN = 1_000

/** Reads the only table of an HTML fragment; `null` if there is none, or more than one. */
function readHtmlTable(html: string): ClipboardTable | null {
  const tables = new DOMParser().parseFromString(html, "text/html").querySelectorAll("table")
  const [table] = tables
  if (!table || tables.length > 1 || table.rows.length === 0) return null
  const rows: string[][] = []
  for (const [at, row] of [...table.rows].entries()) {
    rows[at] ??= []
    let column = 0
    for (const cell of row.cells) {
      // Cells of earlier rows may span this one.
      while (rows[at]?.[column] !== undefined) column += 1
      const [across, down] = [Math.min(cell.colSpan, MAX_SPAN), Math.min(cell.rowSpan, table.rows.length - at)]
      for (let y = 0; y < down; y += 1) {
        rows[at + y] ??= []
        // A merged cell has its text in the first place, as in spreadsheets.
        for (let x = 0; x < across; x += 1) (rows[at + y] as string[])[column + x] = x === 0 && y === 0 ? textOf(cell) : ""
      }
      column += across
    }
  }
  const filled = toRectangle(rows.map((row) => Array.from(row, (cell) => cell ?? "")))
  return { rows: filled, scale: parseScale(table.getAttribute(SCALE_ATTRIBUTE)) }
}

/** The text of a cell as the browser would show it: white space is collapsed, `<br>` and blocks are line breaks. */
function textOf(cell: HTMLElement): string {
  const read = (node: Node): string => {
    if (node.nodeType === Node.TEXT_NODE) return (node.textContent ?? "").replace(/[ \t\r\n]+/g, " ")
    if (!(node instanceof HTMLElement)) return ""
    if (node.tagName === "BR") return "\n"
    const inner = [...node.childNodes].map(read).join("")
    return /^(P|DIV|LI)$/.test(node.tagName) ? `\n${inner}\n` : inner
  }
  return [...cell.childNodes]
    .map(read)
    .join("")
    .replace(/ *\n+ */g, "\n")
    .trim()
}

function parseScale(attribute: string | null): AmountScale | null {
  const [, currency, unit] = /^(\S*) (\S+)$/.exec(attribute ?? "") ?? []
  return currency !== undefined && Number(unit) > 0 ? { currency, unit: Number(unit) } : null
}
