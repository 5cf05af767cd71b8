/** A table as it was read: texts, and the values of a workbook behind them. */
import type { NumberSeparators } from "../amount"

/** A cell of a workbook that is not text. */
export type TypedCell =
  | { kind: "number"; value: number; isCalculated: boolean }
  /** `value`: milliseconds since 1970 of the date, read as UTC. */
  | { kind: "date"; value: number }
  | { kind: "boolean"; value: boolean }
  /** An error of the spreadsheet, such as `#REF!`. */
  | { kind: "error"; value: string }
  /** A formula whose result is not stored in the file. */
  | { kind: "formula"; value: string }

export interface RawTable {
  /** The text of each cell, as a header or a text field reads it. */
  rows: string[][]
  /** The cells that are not text, by row and column. Tables of text have none. */
  typed: ReadonlyMap<number, ReadonlyMap<number, TypedCell>>
  /** Number of lines before the first row. */
  lineOffset: number
  /** A spreadsheet would run cells that start like a formula; apostrophes escape them. Cells of a workbook are not escaped. */
  hasEscapes: boolean
  /** Separators of amounts that are text; `null` for those of the reader's language. */
  separators: NumberSeparators | null
  /** Indices of rows that a workbook hides. */
  hiddenRows: ReadonlySet<number>
  /** Notes for the user. */
  notes: string[]
}

/** A table of texts. */
export const textTable = (rows: string[][], part: Partial<RawTable> = {}): RawTable => ({
  rows,
  typed: new Map(),
  lineOffset: 0,
  hasEscapes: true,
  separators: null,
  hiddenRows: new Set(),
  notes: [],
  ...part,
})

export const typedCell = (table: RawTable, row: number, column: number): TypedCell | undefined => table.typed.get(row)?.get(column)

/** Name of a cell in a spreadsheet: row 1, column 2 is `C2`. */
export function cellName(row: number, column: number): string {
  let letters = ""
  for (let at = column + 1; at > 0; at = Math.floor((at - 1) / 26)) letters = String.fromCharCode(65 + ((at - 1) % 26)) + letters
  return `${letters}${row + 1}`
}
