/** Export of positions as a file. */
import { toCsv } from "../csv-export"
import type { Settings } from "../schema"
import type { ExportTable } from "./table"
import { toWorkbook } from "./workbook"

export type { ExportTable } from "./table"

export type ExportFormat = "xlsx" | "csv"

export const EXPORT_TYPES: Record<ExportFormat, string> = {
  xlsx: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
  csv: "text/csv;charset=utf-8",
}

export async function exportTable(format: ExportFormat, table: ExportTable, settings: Settings): Promise<Uint8Array> {
  return format === "csv" ? new TextEncoder().encode(toCsv(table)) : await toWorkbook(table, settings)
}
