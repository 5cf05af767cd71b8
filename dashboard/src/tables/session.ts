/** One import: the file, its sheets, and the plan to compare it with. */
import type { AmountFormat, NumberSeparators } from "../plan/amount"
import type { OwnColumn } from "../plan/fields"
import type { Position } from "../plan/schema"
import { decodeFile } from "../plan/table-import/decode-file"
import { findHeader } from "../plan/table-import/header"
import { type Mapping, type Proposal, proposeMapping, proposeTargets, unitOfBudgetColumn } from "../plan/table-import/mapping"
import { isEmpty, readTextTable } from "../plan/table-import/parse-table"
import { cellName, type RawTable } from "../plan/table-import/raw-table"
import {
  type ComparedTable,
  changesOf,
  compareTable,
  type ImportChanges,
  type ImportOptions,
  type ImportReview,
  judgeTable,
  reviewImport,
} from "../plan/table-import/review"
import { listSheets, readSheet, type SheetInfo } from "../plan/table-import/workbook"

/** A file or a text. */
export type TableSource = { bytes: Uint8Array } | { text: string }

/** The plan that a table is compared with. */
export interface ComparedPlan {
  positions: readonly Position[]
  /** The columns of the plan. */
  own: readonly OwnColumn[]
  currency: string
  unit: number
  /** Separators of the reader's language. */
  separators: NumberSeparators
}

/** A column of the table, for choosing its field. */
export interface ColumnInfo {
  /** Letter of the column in a spreadsheet. */
  letter: string
  /** Its name in the header row; empty if there is none. */
  head: string
  /** The first values below the header. */
  samples: string[]
}

/** A row that may hold the names of the columns. */
export interface HeaderChoice {
  row: number
  number: number
  text: string
}

export interface TableInfo {
  /** The visible sheets; empty for a text. */
  sheets: SheetInfo[]
  sheet: number | null
  proposal: Proposal
  headerChoices: HeaderChoice[]
  /** Number of rows that the workbook hides. */
  hiddenRows: number
}

export interface ReviewedTable {
  review: ImportReview
  columns: ColumnInfo[]
  /** Unit that the name of the chosen budget column names; `null` if it names none. */
  namedUnit: number | null
}

export type Problem = { problem: string }

/** Maximum number of sheets that are searched for a header. */
const MAX_SEARCHED_SHEETS = 10
const MAX_HEADER_CHOICES = 20
const MAX_SAMPLES = 3

export class TableSession {
  #plan: ComparedPlan
  #ids: ReadonlySet<string>
  #workbook: Uint8Array | null = null
  #sheets: SheetInfo[] = []
  #table: RawTable | null = null
  #compared: { key: string; plan: ComparedPlan; result: ComparedTable } | null = null

  constructor(plan: ComparedPlan) {
    this.#plan = plan
    this.#ids = new Set(plan.positions.map(({ id }) => id))
  }

  /** The plan has changed. */
  setPlan(plan: ComparedPlan): void {
    this.#plan = plan
    this.#ids = new Set(plan.positions.map(({ id }) => id))
  }

  get #format(): AmountFormat {
    const { currency, unit, separators } = this.#plan
    return { currency, unit, separators }
  }

  /** Opens a file, or a text. Of a workbook, the first sheet with a header is shown. */
  async open(source: TableSource): Promise<TableInfo | Problem> {
    this.#workbook = null
    this.#sheets = []
    if ("text" in source) return this.#showText(source.text, [])
    const file = decodeFile(source.bytes)
    if ("problem" in file) return file
    if ("text" in file) return this.#showText(file.text, file.notes)
    const sheets = await listSheets(file.workbook)
    if ("problem" in sheets) return sheets
    this.#workbook = file.workbook
    this.#sheets = sheets
    let first: { sheet: number; table: RawTable } | null = null
    for (const { index } of sheets.slice(0, MAX_SEARCHED_SHEETS)) {
      const table = await readSheet(file.workbook, index)
      if ("problem" in table) return table
      if (isEmpty(table)) continue
      if (findHeader(table.rows, this.#plan.own)) return this.#show(table, index)
      first ??= { sheet: index, table }
    }
    return first ? this.#show(first.table, first.sheet) : { problem: "The workbook is empty." }
  }

  async selectSheet(index: number): Promise<TableInfo | Problem> {
    const table = this.#workbook ? await readSheet(this.#workbook, index) : { problem: "There is no workbook." }
    return "problem" in table ? table : this.#show(table, index)
  }

  #showText(text: string, notes: readonly string[]): TableInfo | Problem {
    const table = readTextTable(text, this.#format, this.#plan.own)
    if ("problem" in table) return table
    if (isEmpty(table)) return { problem: "The table is empty." }
    return this.#show({ ...table, notes: [...notes, ...table.notes] }, null)
  }

  #show(table: RawTable, sheet: number | null): TableInfo {
    this.#table = table
    this.#compared = null
    const proposal = proposeMapping(table, this.#format, (id) => this.#ids.has(id), this.#plan.own)
    // An unusual size may mean another unit. The user decides.
    const judged = judgeTable(table, proposal.mapping, this.#format, this.#plan.positions)
    if (proposal.namedUnit === null && judged?.isDoubtful) proposal.mapping.unit = null
    return { sheets: this.#sheets, sheet, proposal, headerChoices: headerChoices(table), hiddenRows: table.hiddenRows.size }
  }

  /** The columns for another header row. */
  propose(headerRow: number): Mapping["targets"] {
    return this.#table ? proposeTargets(this.#table, headerRow, (id) => this.#ids.has(id), this.#plan.own) : []
  }

  review(mapping: Mapping, options: ImportOptions): ReviewedTable | Problem {
    if (!this.#table) return { problem: "No table is open." }
    return {
      review: reviewImport(this.#table, mapping, this.#format, this.#plan.positions, this.#compare(mapping), options),
      columns: columnsOf(this.#table, mapping),
      namedUnit: unitOfBudgetColumn(this.#table, mapping),
    }
  }

  changes(mapping: Mapping, options: ImportOptions): ImportChanges {
    return this.#table ? changesOf(this.#compare(mapping), options) : { cells: [], additions: [], deletions: [] }
  }

  #compare(mapping: Mapping): ComparedTable {
    const key = JSON.stringify(mapping)
    if (this.#compared?.key !== key || this.#compared.plan !== this.#plan) {
      const result = compareTable(this.#table as RawTable, mapping, this.#format, this.#plan.positions, this.#plan.own)
      this.#compared = { key, plan: this.#plan, result }
    }
    return this.#compared.result
  }
}

const isFilled = (cell: string | undefined): boolean => cell !== undefined && cell.trim() !== ""

function headerChoices({ rows, lineOffset }: RawTable): HeaderChoice[] {
  return rows
    .slice(0, 3 * MAX_HEADER_CHOICES)
    .flatMap((cells, row) =>
      cells.some(isFilled) ? [{ row, number: row + 1 + lineOffset, text: cells.filter(isFilled).slice(0, 4).join(", ").slice(0, 60) }] : [],
    )
    .slice(0, MAX_HEADER_CHOICES)
}

function columnsOf({ rows }: RawTable, { headerRow, targets }: Mapping): ColumnInfo[] {
  return targets.map((_, at) => {
    const samples: string[] = []
    for (let row = headerRow + 1; row < rows.length && samples.length < MAX_SAMPLES; row += 1) {
      const cell = rows[row]?.[at]
      if (cell !== undefined && isFilled(cell)) samples.push(cell.trim().slice(0, 60))
    }
    return { letter: cellName(0, at).slice(0, -1), head: rows[headerRow]?.[at]?.trim() ?? "", samples }
  })
}
