/** The list of plans: those of the server, and local ones that have not reached it yet. */
import { next as A } from "@automerge/automerge/slim"
import { type DocHandle, generateAutomergeUrl, parseAutomergeUrl, type Repo } from "@automerge/automerge-repo/slim"
import type { PlanDoc, Settings } from "../plan/schema"
import { ApiError, callApi } from "./api"
import { duplicateInWorker } from "./duplicate-client"
import { requestPersistentStorage } from "./local-storage"
import { savePendingCount } from "./pending-changes"
import { plansKey, removePlanKeys } from "./storage-keys"

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
  /** Absent in lists of earlier versions of the page. */
  isArchived?: boolean
  /** Heads at which `isArchived` was read; `null` if it was not read from the server. */
  archiveHeads?: string | null
}

interface DocumentResponse {
  id: string
  name?: string | null
  default: boolean
  access?: PlanAccess
  heads?: string[]
  error?: string
}

/** Maximum number of requests for single plans at a time. */
const MAX_REQUESTS = 4

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
  const response = await callApi("api/documents")
  const documents = (await response.json()) as DocumentResponse[]
  const archived = await readArchived(documents, cachedPlans(owner))
  const listed = documents.map(
    (document): PlanInfo => ({
      id: document.id,
      name: document.name ?? "",
      isDefault: document.default,
      access: document.access ?? "write",
      isBroken: document.error !== undefined,
      isLocal: false,
      ...archived.get(document.id),
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

type ArchiveState = Required<Pick<PlanInfo, "isArchived" | "archiveHeads">>

/**
 * Which plans are archived. The list of the server has no fields outside its schema, so plans that have changed since the last time are
 * requested one by one.
 */
async function readArchived(documents: readonly DocumentResponse[], cached: readonly PlanInfo[]): Promise<Map<string, ArchiveState>> {
  const before = new Map(cached.map((plan) => [plan.id, plan]))
  const states = new Map<string, ArchiveState>()
  const changed: [id: string, heads: string][] = []
  for (const { id, heads } of documents) {
    const plan = before.get(id)
    states.set(id, { isArchived: plan?.isArchived ?? false, archiveHeads: plan?.archiveHeads ?? null })
    if (heads && plan?.archiveHeads !== heads.join()) changed.push([id, heads.join()])
  }
  const work = changed.values()
  const run = async () => {
    for (const [id, heads] of work) {
      try {
        const { extra } = (await (await callApi(`api/documents/${id}`)).json()) as { extra?: { archived?: unknown } }
        states.set(id, { isArchived: extra?.archived === true, archiveHeads: heads })
      } catch {
        // The last known state stays; the next listing asks again.
      }
    }
  }
  await Promise.all(Array.from({ length: MAX_REQUESTS }, run))
  return states
}

/** Remembers whether a plan is archived in this copy. The next listing reads it again. Returns the list, or `null` if it has not changed. */
export function markArchived(owner: string, id: string, isArchived: boolean): PlanInfo[] | null {
  const plans = cachedPlans(owner)
  const plan = plans.find((plan) => plan.id === id)
  if (!plan || (plan.isArchived ?? false) === isArchived) return null
  Object.assign(plan, { isArchived, archiveHeads: null })
  cachePlans(owner, plans)
  return plans
}

/**
 * Deletes a plan for everybody. Throws an {@link ApiError} if the server refuses. The server does not know a plan that has never reached it;
 * only the local copy is left to remove then.
 */
export async function deletePlan({ id, isLocal }: PlanInfo): Promise<void> {
  try {
    await callApi(`api/documents/${id}`, "DELETE")
  } catch (error) {
    if (!(isLocal && error instanceof ApiError && error.status === 404)) throw error
  }
}

/** Removes a plan from the list of this device, with everything stored about it. Returns the list. */
export function forgetPlan(owner: string, id: string): PlanInfo[] {
  const plans = cachedPlans(owner).filter((plan) => plan.id !== id)
  cachePlans(owner, plans)
  removePlanKeys(owner, id)
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
  listCreated(owner, handle, name)
  return handle
}

/** Creates a copy of a plan. Works offline; the copy syncs later. */
export async function createCopy(
  repo: Repo,
  owner: string,
  source: A.Doc<PlanDoc>,
  name: string,
  author: string,
): Promise<DocHandle<PlanDoc>> {
  requestPersistentStorage()
  const { documentId } = parseAutomergeUrl(generateAutomergeUrl())
  const copy = await duplicateInWorker({ source: A.save(source), id: documentId, name, author })
  const handle = repo.import<PlanDoc>(copy, { docId: documentId })
  // The repository saves changes, and an import is none. The storage adapter reports and retries a failed write.
  repo.flush([documentId]).catch(() => undefined)
  listCreated(owner, handle, name)
  return handle
}

/** Lists a plan that was created on this device, with its unsynced changes. */
function listCreated(owner: string, handle: DocHandle<PlanDoc>, name: string): void {
  savePendingCount(owner, handle.documentId, A.getChangesMetaSince(handle.doc(), []).length)
  const made: PlanInfo = { id: handle.documentId, name, isDefault: false, access: "own", isBroken: false, isLocal: true }
  cachePlans(owner, [...cachedPlans(owner), made])
}
