/** Messages between the page and its table worker. */
import type { Settings } from "../plan/schema"
import type { ExportFormat, ExportTable } from "../plan/table-export"
import type { Mapping } from "../plan/table-import/mapping"
import type { ImportChanges, ImportOptions } from "../plan/table-import/review"
import type { ComparedPlan, Problem, ReviewedTable, TableInfo, TableSource } from "./session"

/** Methods of the worker, with their parameters and results. */
export interface TableRequests {
  /** Sets the plan that tables are compared with. */
  setPlan: { params: ComparedPlan; result: null }
  open: { params: TableSource; result: TableInfo | Problem }
  selectSheet: { params: { index: number }; result: TableInfo | Problem }
  propose: { params: { headerRow: number }; result: Mapping["targets"] }
  review: { params: { mapping: Mapping; options: ImportOptions }; result: ReviewedTable | Problem }
  changes: { params: { mapping: Mapping; options: ImportOptions }; result: ImportChanges }
  export: { params: { format: ExportFormat; table: ExportTable; settings: Settings }; result: Uint8Array }
}

export type TableMethod = keyof TableRequests

export type TableCommand = { [M in TableMethod]: { id: number; method: M; params: TableRequests[M]["params"] } }[TableMethod]

export type TableMessage = { id: number; result: unknown } | { id: number; reason: string }
