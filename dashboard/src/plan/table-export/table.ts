/** A table of positions for an export. An import reads it back without loss. */
import type { ExtraValue } from "../extra-fields"
import type { OwnColumn } from "../fields"
import type { Position } from "../schema"
import { isHeadOf, parseColumnName, qualifiedHead } from "../table-import/column-names"
import { isExportColumn } from "../table-import/header"

/** A cell of a workbook holds no more characters. */
export const MAX_CELL_TEXT = 32_767

export interface ExportTable {
  /** In the order of the list. */
  positions: readonly Position[]
  /** The columns of the plan. */
  own: readonly OwnColumn[]
  /** Fields of other programs, by id. */
  extras: ReadonlyMap<string, Record<string, ExtraValue>>
  /** Number of positions of the plan, of which these are some or all. */
  total: number
  /** What the positions are, such as `All positions` or `Filtered positions`. */
  scope: string
  /** First month of the year whose costs are exported. */
  yearStart: string
  /** Time of the export, in milliseconds since 1970. */
  at: number
}

/** The head of a column of the plan: its title, with its key if an import would take the title for something else. */
export function ownHead(column: OwnColumn, own: readonly OwnColumn[]): string {
  const isClear = !isExportColumn(column.label) && own.filter((other) => isHeadOf(other, column.label)).length === 1
  return isClear && isHeadOf(column, column.label) ? column.label : qualifiedHead(column)
}

/** Names of the further columns, in the order of the server's files. */
export function extraColumns({ positions, extras }: ExportTable): string[] {
  const keys = new Set<string>()
  for (const { id } of positions) for (const key of Object.keys(extras.get(id) ?? {})) keys.add(key)
  return [...keys].sort()
}

/** The head of a further column. A key that an import would take for a field or a column of the plan is marked as one of another program. */
export const extraHead = (key: string, own: readonly OwnColumn[]): string =>
  !isExportColumn(key) && parseColumnName(key, own) !== null ? `Other: ${key}` : key
