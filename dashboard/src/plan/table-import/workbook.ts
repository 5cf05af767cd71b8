/** Reads workbooks (`.xlsx`). The results of formulas are read as the file stores them; nothing is calculated. */
import type { Cell, CellValue, Sheet } from "hucre"
import { readXlsx } from "hucre/xlsx"
import { ENCRYPTED } from "./decode-file"
import { cellName, type RawTable, type TypedCell } from "./raw-table"
import { textOf } from "./workbook-text"

/** A sheet that can be imported. */
export interface SheetInfo {
  /** Index among all sheets of the workbook. */
  index: number
  name: string
}

const DAMAGED = "The workbook is damaged and cannot be read. Open it in a spreadsheet program and save it again."
/** Maximum number of cell ranges that a note quotes. */
const MAX_QUOTED = 5

/** The visible sheets of a workbook, or why it cannot be read. */
export async function listSheets(bytes: Uint8Array): Promise<SheetInfo[] | { problem: string }> {
  const sheets: SheetInfo[] = []
  try {
    await readXlsx(bytes, {
      sheets: ({ index, name, hidden, veryHidden }) => {
        if (!hidden && !veryHidden) sheets.push({ index, name })
        return false
      },
    })
  } catch (error) {
    return { problem: error instanceof Error && error.name === "EncryptedFileError" ? ENCRYPTED : DAMAGED }
  }
  return sheets.length > 0 ? sheets : { problem: "The workbook has no visible sheet." }
}

/** Reads one sheet. */
export async function readSheet(bytes: Uint8Array, index: number): Promise<RawTable | { problem: string }> {
  try {
    const { sheets } = await readXlsx(bytes, { sheets: [index] })
    const [sheet] = sheets
    return sheet ? toRawTable(sheet) : { problem: DAMAGED }
  } catch {
    return { problem: DAMAGED }
  }
}

function toRawTable(sheet: Sheet): RawTable {
  const typed = new Map<number, Map<number, TypedCell>>()
  const setTyped = (row: number, column: number, cell: TypedCell) => {
    const cells = typed.get(row)
    if (cells) cells.set(column, cell)
    else typed.set(row, new Map([[column, cell]]))
  }
  const rows = sheet.rows.map((values, row) =>
    values.map((value, column) => {
      const cell = readTyped(value, sheet.cells?.get(`${row},${column}`))
      if (cell) setTyped(row, column, cell)
      return cell ? textOf(cell) : typeof value === "string" ? value : ""
    }),
  )
  const notes = fillMergedCells(sheet, rows, typed, setTyped)
  const hiddenRows = new Set([...(sheet.rowDefs ?? [])].flatMap(([row, { hidden }]) => (hidden ? [row] : [])))
  return { rows, typed, lineOffset: 0, hasEscapes: false, separators: null, hiddenRows, notes }
}

/** The value of a cell that is not text; `null` for text and empty cells. */
function readTyped(value: CellValue | undefined, cell: Cell | undefined): TypedCell | null {
  if (cell?.type === "error") return { kind: "error", value: String(value) }
  if (cell?.formula !== undefined && (value === null || value === undefined)) return { kind: "formula", value: cell.formula }
  const isCalculated = cell?.formula !== undefined
  if (typeof value === "number") return { kind: "number", value, isCalculated }
  if (typeof value === "boolean") return { kind: "boolean", value }
  return value instanceof Date ? { kind: "date", value: value.getTime() } : null
}

/**
 * A merged cell has its value in the first place only. A text that is merged over several rows applies to each of them, as readers of the
 * sheet see it. A number stays in its first row: repeated, it would count several times.
 */
function fillMergedCells(
  sheet: Sheet,
  rows: string[][],
  typed: ReadonlyMap<number, ReadonlyMap<number, TypedCell>>,
  setTyped: (row: number, column: number, cell: TypedCell) => void,
): string[] {
  const numbers: string[] = []
  for (const { startRow, startCol, endRow, endCol } of sheet.merges ?? []) {
    const last = Math.min(endRow, rows.length - 1)
    const text = rows[startRow]?.[startCol] ?? ""
    if (last <= startRow || text === "") continue
    const cell = typed.get(startRow)?.get(startCol)
    if (cell?.kind === "number") {
      numbers.push(`${cellName(startRow, startCol)}:${cellName(endRow, endCol)}`)
      continue
    }
    for (let row = startRow + 1; row <= last; row += 1) {
      const cells = rows[row] as string[]
      while (cells.length <= startCol) cells.push("")
      cells[startCol] = text
      if (cell) setTyped(row, startCol, cell)
    }
  }
  if (numbers.length === 0) return []
  const quoted = numbers.slice(0, MAX_QUOTED).join(", ")
  const more = numbers.length > MAX_QUOTED ? ` and ${numbers.length - MAX_QUOTED} more` : ""
  return [`Numbers in merged cells count once, in their first row: ${quoted}${more}.`]
}
