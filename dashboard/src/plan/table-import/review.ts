/** Summarizes what an import would change, for the preview. */
import type { AmountFormat } from "../amount"
import type { NewPosition } from "../edit"
import { type ColumnKey, isAmountField, type OwnColumn } from "../fields"
import { roundSum, sumBudgets } from "../query"
import type { FieldValue, Position } from "../schema"
import { hasOwnUnit, readAmount } from "./amounts"
import { diffTable, type TableDiff } from "./diff"
import { judgeUnit, outlierReason, referenceMedian, type UnitJudgement } from "./magnitudes"
import { headerOf, type Mapping, validateMapping } from "./mapping"
import { parseRows } from "./parse-table"
import type { ImportLine, ImportPreview } from "./preview"
import { type RawTable, typedCell } from "./raw-table"

export interface ImportOptions {
  /** Delete positions of the plan that the table does not name. */
  deletesMissing: boolean
  /** Leave out lines that equal a position of the plan. */
  skipsDuplicates: boolean
}

/** A line with a remark. */
export interface Finding {
  number: number
  text: string
}

/** Findings; only the first ones are listed. */
export interface Findings {
  count: number
  first: Finding[]
}

export interface ImportReview {
  /** Why nothing can be imported; `null` if something can. */
  problem: string | null
  notes: string[]
  /** Names of columns that are not imported. */
  ignored: string[]
  skipped: Findings
  refused: Findings
  added: number
  changed: number
  unchanged: number
  /** Number of fields that change, and how many of them become empty. */
  changedCells: number
  clearedCells: number
  /** Lines that equal a position of the plan. They are counted in `added` unless they are left out. */
  duplicatesInPlan: Findings
  duplicatesInTable: Findings
  outliers: Findings
  /** Positions with an id that the plan does not have. */
  unknownIds: number
  /** Positions of the plan that the table does not name, and those of them that are deleted. */
  missing: { count: number; names: string[] }
  deleted: number
  /** Sums of all budgets of the plan. */
  sumBefore: number
  sumAfter: number
  /** Sum of the budgets of new positions. */
  sumAdded: number
  unknownBudgets: number
  additions: (NewPosition & { key: number })[]
  updates: { number: number; name: string; cells: { field: ColumnKey; before: FieldValue; after: FieldValue }[] }[]
  unit: UnitJudgement | null
}

/** What an import changes in the document. */
export interface ImportChanges {
  cells: { id: string; field: ColumnKey; value: FieldValue }[]
  additions: (NewPosition & { id?: string })[]
  deletions: string[]
}

const MAX_LISTED = 20
const MAX_ROWS = 100

const findings = (all: readonly Finding[]): Findings => ({ count: all.length, first: all.slice(0, MAX_LISTED) })

/** The lines of a table compared with a plan. */
export interface ComparedTable {
  preview: ImportPreview
  diff: TableDiff
}

/** `own`: the columns of the plan. */
export function compareTable(
  table: RawTable,
  mapping: Mapping,
  format: AmountFormat,
  positions: readonly Position[],
  own: readonly OwnColumn[] = [],
): ComparedTable {
  const problem = validateMapping(mapping)
  const preview: ImportPreview =
    problem === null ? parseRows(table, mapping, format, own) : { lines: [], skipped: [], ignored: [], notes: table.notes, problem }
  return { preview, diff: diffTable(preview.lines, preview.problem === null ? positions : [], mapping.targets.includes("id"), own) }
}

/** The lines that an import adds. */
const additionsOf = ({ additions }: TableDiff, { skipsDuplicates }: ImportOptions) =>
  skipsDuplicates ? additions.filter(({ sameAs }) => sameAs !== "plan") : additions

export function changesOf({ diff }: ComparedTable, options: ImportOptions): ImportChanges {
  return {
    cells: diff.updates.flatMap(({ id, cells }) => cells.map(({ field, after }) => ({ id, field, value: after }))),
    additions: additionsOf(diff, options).map(({ line, id }) => (id === null ? line.position : { ...line.position, id })),
    deletions: options.deletesMissing ? diff.missing.map(({ id }) => id) : [],
  }
}

export function reviewImport(
  table: RawTable,
  mapping: Mapping,
  format: AmountFormat,
  positions: readonly Position[],
  compared: ComparedTable,
  options: ImportOptions,
): ImportReview {
  const { preview, diff } = compared
  const additions = additionsOf(diff, options)
  const cells = diff.updates.flatMap((update) => update.cells)
  const deleted = options.deletesMissing ? diff.missing : []
  const changedBudgets = diff.updates.flatMap((update) =>
    update.cells.flatMap(({ field, before, after }) => (field === "budget" ? [{ update, before, after }] : [])),
  )
  const amount = (value: FieldValue) => (typeof value === "number" ? value : 0)
  const sumBefore = sumBudgets(positions)
  const sumAdded = sumBudgets(additions.map(({ line }) => line.position))
  const difference = changedBudgets.reduce((sum, { before, after }) => sum + amount(after) - amount(before), 0)
  const budgets = (lines: readonly ImportLine[]) => lines.flatMap(({ position: { budget } }) => (budget === null ? [] : [budget]))
  const planBudgets = positions.flatMap(({ budget }) => (budget === null ? [] : [budget]))
  const median = referenceMedian(budgets(preview.lines), planBudgets)
  const outliers = [
    ...additions.map(({ line }) => ({ number: line.number, name: line.position.designation, budget: line.position.budget })),
    ...changedBudgets.map(({ update, after }) => ({ number: update.number, name: update.name, budget: amount(after) })),
  ].flatMap(({ number, name, budget }) => {
    const reason = budget === null ? null : outlierReason(budget, median, format.unit)
    return reason === null ? [] : [{ number, text: `“${name}”: ${budget?.toLocaleString()}, ${reason}` }]
  })
  const name = (line: ImportLine) => `“${line.position.designation}”`
  return {
    problem: preview.problem,
    notes: preview.notes,
    ignored: preview.ignored,
    skipped: findings(preview.skipped.map(({ number, reason }) => ({ number, text: reason }))),
    refused: findings(diff.refused.map(({ number, reason }) => ({ number, text: reason }))),
    added: additions.length,
    changed: diff.updates.length,
    unchanged: diff.unchanged,
    changedCells: cells.length,
    clearedCells: cells.filter(({ after }) => after === null || after === "").length,
    duplicatesInPlan: findings(
      diff.additions.flatMap(({ line, sameAs }) => (sameAs === "plan" ? [{ number: line.number, text: name(line) }] : [])),
    ),
    duplicatesInTable: findings(
      diff.additions.flatMap(({ line, sameAs }) =>
        typeof sameAs === "number" ? [{ number: line.number, text: `${name(line)}, as in line ${sameAs.toLocaleString()}` }] : [],
      ),
    ),
    outliers: findings(outliers.sort((one, other) => one.number - other.number)),
    unknownIds: additions.filter(({ line }) => line.id !== "").length,
    missing: { count: diff.missing.length, names: diff.missing.slice(0, MAX_LISTED).map(({ designation }) => designation) },
    deleted: deleted.length,
    sumBefore,
    sumAfter: roundSum(sumBefore + difference + sumAdded - sumBudgets(deleted)),
    sumAdded,
    unknownBudgets: additions.filter(({ line }) => line.position.budget === null).length,
    additions: additions.slice(0, MAX_ROWS).map(({ line }) => ({ key: line.number, ...line.position })),
    updates: diff.updates.slice(0, MAX_ROWS).map(({ number, name, cells }) => ({ number, name, cells })),
    unit: judgeTable(table, mapping, format, positions),
  }
}

/** Judges the unit of the amounts by their size; `null` if the table has no amounts. */
export function judgeTable(table: RawTable, mapping: Mapping, format: AmountFormat, positions: readonly Position[]): UnitJudgement | null {
  const budgets = positions.flatMap(({ budget }) => (budget === null ? [] : [budget]))
  return judgeUnit(plainAmounts(table, mapping, format), budgets, format.unit)
}

/** The amounts that do not name a unit, in the unit of the table. */
function plainAmounts(table: RawTable, mapping: Mapping, format: AmountFormat): number[] {
  const { budget } = headerOf(table, mapping).columns
  if (!budget || !isAmountField("budget")) return []
  return table.rows.slice(mapping.headerRow + 1).flatMap((row, index) => {
    const text = row[budget.at] ?? ""
    const cell = typedCell(table, mapping.headerRow + 1 + index, budget.at)
    if (text === "" || (!cell && hasOwnUnit(text))) return []
    const read = readAmount(text, cell, format.unit, { ...format, ...(table.separators && { separators: table.separators }) })
    return "value" in read && read.value !== null ? [read.value] : []
  })
}
