/** Exports positions as a file and offers it as a download. */
import { readExtraFields } from "../plan/extra-fields"
import type { Position } from "../plan/schema"
import { EXPORT_TYPES, type ExportFormat } from "../plan/table-export"
import type { PlanStore } from "../sync/plan-store"
import { requestOnce } from "../tables/client"

/** `scope`: what the positions are, such as `Filtered positions`. `yearStart`: the first month of the year whose costs are exported. `name`: of the plan. */
export async function downloadTable(
  format: ExportFormat,
  store: PlanStore,
  positions: readonly Position[],
  scope: string,
  yearStart: string,
  name: string,
): Promise<void> {
  const { settings: stored, positions: all, columns } = store.getSnapshot()
  const settings = { ...stored, name }
  const extras = readExtraFields(
    store.handle.doc(),
    positions.map(({ id }) => id),
    new Set(columns.own.map(({ key }) => key)),
  )
  const table = { positions, own: columns.own, extras, total: all.length, scope, yearStart, at: Date.now() }
  const bytes = await requestOnce("export", { format, table, settings })
  const url = URL.createObjectURL(new Blob([bytes as Uint8Array<ArrayBuffer>], { type: EXPORT_TYPES[format] }))
  const link = document.createElement("a")
  link.href = url
  link.download = `${(name || "plan").replace(/[^\p{L}\p{N}]+/gu, "-")}.${format}`
  link.click()
  window.setTimeout(() => URL.revokeObjectURL(url), 10_000)
}
