/**
 * The plan as the JSON API of the server shows it: the first picture of a plan that this browser has no copy of. It needs neither Automerge nor
 * the document, which take much longer to load.
 */

import { PlanColumns } from "../plan/columns"
import type { DepartmentBudget } from "../plan/department-budgets"
import { readPlainColumns } from "../plan/own-columns"
import { type Position, readPosition, readSettings, type Settings } from "../plan/schema"
import { plansKey } from "./plans-key"

export interface Preview {
  id: string
  settings: Settings
  columns: PlanColumns
  departmentBudgets: readonly DepartmentBudget[]
  positions: readonly Position[]
}

/** Time after which the page loads without a preview. */
const TIMEOUT_MS = 8_000

/** Plan ids are in base 58. */
const ADDRESS = /^#(?:automerge(?::|%3A))?([1-9A-HJ-NP-Za-km-z]{20,40})$/i

/** The plan that an address names. `null` if the address names a view or something else, which a preview does not show. */
export function previewAddress(hash: string): { plan: string | null } | null {
  if (hash.length < 2) return { plan: null }
  const plan = ADDRESS.exec(hash)?.[1]
  return plan === undefined ? null : { plan }
}

interface ListedDocument {
  id: string
  default: boolean
  error?: string
}

/** Whether this browser has opened plans of this user before: it then has copies, which may be newer than the server's. */
export const hasLocalPlans = (owner: string): boolean => localStorage.getItem(plansKey(owner)) !== null

/**
 * Reads a plan, or the default plan if `id` is `null`. Returns `null` if the server does not show it; the page finds out the reason when it
 * opens the plan.
 */
export async function loadPreview(id: string | null): Promise<Preview | null> {
  const signal = AbortSignal.timeout(TIMEOUT_MS)
  const read = async (path: string): Promise<unknown> => {
    const response = await fetch(path, { cache: "no-store", signal })
    if (!response.ok) throw new Error(`The server answered ${response.status}.`)
    return response.json()
  }
  try {
    const opened = id ?? firstPlan((await read("api/documents")) as ListedDocument[])
    if (opened === null) return null
    const path = `api/documents/${encodeURIComponent(opened)}`
    const [document, list] = await Promise.all([read(path), read(`${path}/positions`)])
    const { positions } = list as { positions: Record<string, unknown>[] }
    return toPreview(opened, document as Record<string, unknown>, positions)
  } catch {
    return null
  }
}

function firstPlan(plans: readonly ListedDocument[]): string | null {
  const whole = plans.filter(({ error }) => error === undefined)
  return (whole.find((plan) => plan.default) ?? whole[0])?.id ?? null
}

const toDate = (value: unknown): unknown => (typeof value === "string" ? new Date(value) : value)

/** Reads the answers of the API by the rules by which the document is read. */
export function toPreview(id: string, document: Record<string, unknown>, rows: readonly Record<string, unknown>[]): Preview {
  // The API shows the values in the columns of the plan as fields of other programs.
  const columns = new PlanColumns(readPlainColumns(document))
  const positions = rows.flatMap((row) => {
    const extra = typeof row.extra === "object" ? row.extra : null
    const entry = { ...extra, ...row, createdAt: toDate(row.createdAt), updatedAt: toDate(row.updatedAt) }
    const position = readPosition(String(row.id), "value" in row ? row.value : entry, columns.own)
    return position ? [position] : []
  })
  const { departmentBudgets } = document
  const budgets = typeof departmentBudgets === "object" && departmentBudgets !== null ? Object.entries(departmentBudgets) : []
  return {
    id,
    settings: readSettings(document),
    columns,
    positions,
    departmentBudgets: budgets.map(([name, value]) => ({
      name,
      amount: typeof value === "number" ? value : null,
      mistyped: typeof value === "number" ? null : JSON.stringify(value),
      conflict: null,
    })),
  }
}
