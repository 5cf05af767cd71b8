/** Which column of a table is imported as which field: the proposal, and what the user made of it. */
import { type AmountFormat, namedUnit } from "../amount"
import { type ColumnKey, FIELDS, isAmountField, isFieldKey, keyOf, type OwnColumn } from "../fields"
import { isBlank } from "../text"
import { parseColumnName } from "./column-names"
import { defaultHeader, findHeader, type Header, isIdHead, isProblem, NO_DESIGNATION, widthOf } from "./header"
import { validateHeaderless } from "./headerless"
import type { RawTable } from "./raw-table"
import { dropForeignColumns } from "./value-columns"

/** What a column is imported as: a field, a column of the plan, or the id of the position. */
export type ColumnTarget = ColumnKey | "id"

export interface Mapping {
  /** Index of the row with the names of the columns; -1 if there is none. Rows before it are not imported. */
  headerRow: number
  /** By column. `null`: the column is not imported. */
  targets: readonly (ColumnTarget | null)[]
  /** Currency units of an amount without a unit of its own, such as 100,000 for lakh. `null`: the user has to choose. */
  unit: number | null
  /** Whether rows that the workbook hides are imported. */
  hasHiddenRows: boolean
}

export interface Proposal {
  mapping: Mapping
  /** Unit that the name of the budget column names; `null` if it names none. */
  namedUnit: number | null
  /** Why the columns were not recognized; `null` if they were. Choosing them by hand is then necessary. */
  problem: string | null
}

/** Number of rows to compare with the ids of the plan. */
const ID_SAMPLE = 20_000
/** Ids that this product makes. */
const OWN_ID = /^(?:[0-9a-f]{14}|[0-9a-f]{32})$/

export const isOwnId = (id: string): boolean => OWN_ID.test(id)

/** Number of columns of a table. */
export const columnsOf = ({ rows }: RawTable): number => rows.reduce((most, row) => Math.max(most, widthOf(row)), 0)

/** Proposes the columns. `isKnownId`: whether the plan has a position with this id. `own`: here and below, the columns of the plan. */
export function proposeMapping(
  table: RawTable,
  format: AmountFormat,
  isKnownId: (id: string) => boolean,
  own: readonly OwnColumn[] = [],
): Proposal {
  const found = findHeader(table.rows, own)
  const headerProblem = found ? found.problem : validateHeaderless(table.rows, format)
  const hasIds = found !== null && findIdColumn(table, found.row, isKnownId) >= 0
  const isUpdate = hasIds && headerProblem?.startsWith(NO_DESIGNATION) === true && Object.keys(found.columns).length > 0
  const problem = isUpdate ? null : headerProblem
  const header = found ? dropForeignColumns(found, table.rows.slice(found.row + 1)) : problem === null ? defaultHeader() : null
  const headerRow = found?.row ?? (problem === null ? -1 : firstFilledRow(table))
  const targets: (ColumnTarget | null)[] = Array.from({ length: columnsOf(table) }, () => null)
  assignFields(targets, header, own)
  const id = headerRow < 0 ? -1 : findIdColumn(table, headerRow, isKnownId)
  if (id >= 0 && targets[id] === null) targets[id] = "id"
  const named = unitOfBudgetColumn(table, { headerRow, targets })
  return { mapping: { headerRow, targets, unit: named ?? format.unit, hasHiddenRows: true }, namedUnit: named, problem }
}

/** Proposes the columns for a header row that the user has chosen; -1: the table has none. */
export function proposeTargets(
  table: RawTable,
  headerRow: number,
  isKnownId: (id: string) => boolean,
  own: readonly OwnColumn[] = [],
): (ColumnTarget | null)[] {
  const header = headerRow < 0 ? defaultHeader() : findHeader(table.rows.slice(headerRow, headerRow + 1), own)
  const targets: (ColumnTarget | null)[] = Array.from({ length: columnsOf(table) }, () => null)
  assignFields(targets, header, own)
  const id = headerRow < 0 ? -1 : findIdColumn(table, headerRow, isKnownId)
  if (id >= 0 && targets[id] === null) targets[id] = "id"
  return targets
}

function assignFields(targets: (ColumnTarget | null)[], header: Header | null, own: readonly OwnColumn[]): void {
  for (const key of [...FIELDS, ...own].map(keyOf)) {
    const at = header?.columns[key]?.at
    if (at !== undefined && at < targets.length) targets[at] = key
  }
}

function firstFilledRow({ rows }: RawTable): number {
  return Math.max(
    0,
    rows.findIndex((row) => widthOf(row) > 0),
  )
}

/**
 * The column called `id`, if it has ids of positions. Files of other programs have numbers of employees or rows there, which must not
 * be taken for positions.
 */
function findIdColumn({ rows }: RawTable, headerRow: number, isKnownId: (id: string) => boolean): number {
  const at = (rows[headerRow] ?? []).findIndex(isIdHead)
  if (at < 0) return -1
  const ids = rows.slice(headerRow + 1, headerRow + 1 + ID_SAMPLE).map((row) => (row[at] ?? "").trim())
  return ids.some((id) => id !== "" && (isOwnId(id) || isKnownId(id))) ? at : -1
}

/** The unit that the name of the budget column names; `null` if it names none. */
export function unitOfBudgetColumn({ rows }: RawTable, { headerRow, targets }: Pick<Mapping, "headerRow" | "targets">): number | null {
  const at = targets.findIndex((target) => target !== null && isFieldKey(target) && isAmountField(target))
  const meaning = at < 0 || headerRow < 0 ? null : parseColumnName(rows[headerRow]?.[at] ?? "")
  return meaning && !isProblem(meaning) && meaning.unit !== "" ? namedUnit(`1 ${meaning.unit}`) : null
}

/** Sets what a column is imported as. Another column of the same target is no longer imported: two columns cannot fill one field. */
export function withTarget(mapping: Mapping, column: number, target: ColumnTarget | null): Mapping {
  const targets = mapping.targets.map((other, at) => (at === column ? target : other === target ? null : other))
  return { ...mapping, targets }
}

/** Why a mapping cannot be imported; `null` if it can. */
export function validateMapping({ targets }: Pick<Mapping, "targets">): string | null {
  const isUpdate = targets.includes("id")
  if (targets.includes("designation")) return null
  if (isUpdate && targets.some((target) => target !== null && target !== "id")) return null
  return "Choose the column of the designation."
}

/** The header that the lines are read with. */
export function headerOf({ rows }: RawTable, { headerRow, targets }: Mapping): Header {
  const headerCells = rows[headerRow] ?? []
  const header: Header = { row: headerRow, columns: {}, width: widthOf(headerCells), ignored: [], notes: [], problem: null }
  const isDefault = headerRow < 0 && targets.every((target, at) => target === (FIELDS[at] ?? null))
  if (headerRow < 0) header.width = isDefault ? FIELDS.length : targets.length
  for (const [at, target] of targets.entries()) {
    const head = headerCells[at]?.trim() ?? ""
    if (target === null) {
      if (!isBlank(head)) header.ignored.push(head)
      continue
    }
    if (target === "id") continue
    const meaning = isFieldKey(target) && isAmountField(target) ? parseColumnName(head) : null
    const read = meaning && !isProblem(meaning) && meaning.field === target ? meaning : null
    header.columns[target] = { field: target, rank: 0, at, head: head || target, unit: read?.unit ?? "", currency: read?.currency ?? "" }
    // A column that was chosen by hand may lie beyond the names.
    header.width = Math.max(header.width, at + 1)
  }
  return header
}
