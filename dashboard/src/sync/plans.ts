/** The list of plans: those of the server, and local ones that have not reached it yet. */
import { next as A } from "@automerge/automerge/slim"
import type { DocHandle, Repo } from "@automerge/automerge-repo/slim"
import type { PlanDoc, Settings } from "../plan/schema"
import { requestPersistentStorage } from "./local-storage"
import { savePendingCount } from "./pending-changes"
import { plansKey } from "./storage-keys"

export type PlanAccess = "read" | "write" | "own"

export interface PlanInfo {
  id: string
  name: string
  isDefault: boolean
  access: PlanAccess
  /** The server cannot open the document. */
  isBroken: boolean
  /** Created on this device and not listed by the server yet. */
  isLocal: boolean
}

interface DocumentResponse {
  id: string
  name?: string | null
  default: boolean
  access?: PlanAccess
  error?: string
}

export function cachedPlans(owner: string): PlanInfo[] {
  try {
    return JSON.parse(localStorage.getItem(plansKey(owner)) ?? "[]") as PlanInfo[]
  } catch {
    return []
  }
}

const cachePlans = (owner: string, plans: readonly PlanInfo[]): void => localStorage.setItem(plansKey(owner), JSON.stringify(plans))

/** Requests the list. Throws if the server cannot be reached or answers with an error. */
export async function listPlans(owner: string): Promise<PlanInfo[]> {
  const response = await fetch("api/documents", { cache: "no-store", signal: AbortSignal.timeout(10_000) })
  if (!response.ok) throw new Error(`The server answered ${response.status}.`)
  const listed = ((await response.json()) as DocumentResponse[]).map(
    (document): PlanInfo => ({
      id: document.id,
      name: document.name ?? "",
      isDefault: document.default,
      access: document.access ?? "write",
      isBroken: document.error !== undefined,
      isLocal: false,
    }),
  )
  const known = new Set(listed.map((plan) => plan.id))
  const local = cachedPlans(owner).filter((plan) => plan.isLocal && !known.has(plan.id))
  const plans = [...listed, ...local].sort(
    (one, other) => Number(other.isDefault) - Number(one.isDefault) || one.name.localeCompare(other.name),
  )
  cachePlans(owner, plans)
  return plans
}

/** Creates a plan. Works offline; the plan syncs later. */
export function createPlan(repo: Repo, owner: string, settings: Settings): DocHandle<PlanDoc> {
  requestPersistentStorage()
  const { name, currency, unit, totalBudget, yearStart } = settings
  const optional = { ...(totalBudget !== null && { totalBudget }), ...(yearStart !== null && { yearStart }) }
  const handle = repo.create<PlanDoc>({ name, currency, unit, ...optional, positions: {} })
  handle.change((doc) => {
    doc.documentId = handle.documentId
  })
  savePendingCount(owner, handle.documentId, A.getChangesMetaSince(handle.doc(), []).length)
  const made: PlanInfo = { id: handle.documentId, name, isDefault: false, access: "own", isBroken: false, isLocal: true }
  cachePlans(owner, [...cachedPlans(owner), made])
  return handle
}
