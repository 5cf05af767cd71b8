/** The list of plans: those of the server, and local ones that have not reached it yet. */
import { next as A } from "@automerge/automerge/slim"
import { type DocHandle, generateAutomergeUrl, parseAutomergeUrl, type Repo } from "@automerge/automerge-repo/slim"
import type { PlanDoc, Settings } from "../plan/schema"
import { ApiError, callApi } from "./api"
import { duplicateInWorker } from "./duplicate-client"
import { requestPersistentStorage } from "./local-storage"
import { savePendingCount } from "./pending-changes"
import { plansKey } from "./plans-key"
import { type ScenarioInfo, type ScenarioResponse, toScenario } from "./scenarios"
import { removePlanKeys } from "./storage-keys"
import { storeItem } from "./stored-items"

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
  /** Absent if there are none. */
  scenarios?: ScenarioInfo[]
}

interface DocumentResponse {
  id: string
  name?: string | null
  default: boolean
  access?: PlanAccess
  archived?: boolean
  scenarios?: ScenarioResponse[]
  error?: string
}

/** A scenario and its plan. */
export interface ScenarioPlace {
  plan: PlanInfo
  scenario: ScenarioInfo
}

/** The scenario with this id; `null` if the list has none. */
export function findScenario(plans: readonly PlanInfo[], id: string | null): ScenarioPlace | null {
  for (const plan of plans) {
    const scenario = plan.scenarios?.find((scenario) => scenario.id === id)
    if (scenario) return { plan, scenario }
  }
  return null
}

/** Whether the list contains a plan or scenario. */
export const isListed = (plans: readonly PlanInfo[], id: string): boolean =>
  plans.some((plan) => plan.id === id) || findScenario(plans, id) !== null

/** The plans and scenarios whose changes sync. Without write access, changes never sync. */
export const writableDocuments = (plans: readonly PlanInfo[]): string[] =>
  plans.filter(({ access }) => access !== "read").flatMap(({ id, scenarios }) => [id, ...(scenarios ?? []).map((scenario) => scenario.id)])

/** Lists that could not be stored, as text, by user. They last as long as the page. */
const unstored = new Map<string, string>()

export function cachedPlans(owner: string): PlanInfo[] {
  try {
    return JSON.parse(unstored.get(owner) ?? localStorage.getItem(plansKey(owner)) ?? "[]") as PlanInfo[]
  } catch {
    return []
  }
}

function cachePlans(owner: string, plans: readonly PlanInfo[]): void {
  const text = JSON.stringify(plans)
  if (storeItem(plansKey(owner), text)) unstored.delete(owner)
  else unstored.set(owner, text)
}

/** Requests the list. Throws if the server cannot be reached or answers with an error. */
export async function listPlans(owner: string): Promise<PlanInfo[]> {
  const response = await callApi("api/documents")
  const documents = (await response.json()) as DocumentResponse[]
  const cached = cachedPlans(owner)
  const archived = new Map(cached.map((plan) => [plan.id, plan.isArchived]))
  const listed = documents.map(
    (document): PlanInfo => ({
      id: document.id,
      name: document.name ?? "",
      isDefault: document.default,
      access: document.access ?? "write",
      isBroken: document.error !== undefined,
      isLocal: false,
      // A document that cannot be opened has no settings.
      isArchived: document.archived ?? archived.get(document.id) ?? false,
      ...(document.scenarios && { scenarios: document.scenarios.map(toScenario) }),
    }),
  )
  const known = new Set(listed.map((plan) => plan.id))
  const local = cached.filter((plan) => plan.isLocal && !known.has(plan.id))
  const plans = [...listed, ...local].sort(
    (one, other) => Number(other.isDefault) - Number(one.isDefault) || one.name.localeCompare(other.name),
  )
  cachePlans(owner, plans)
  return plans
}

/** Remembers whether a plan is archived in this copy. The next listing reads it again. Returns the list, or `null` if it has not changed. */
export function markArchived(owner: string, id: string, isArchived: boolean): PlanInfo[] | null {
  const plans = cachedPlans(owner)
  const plan = plans.find((plan) => plan.id === id)
  if (!plan || (plan.isArchived ?? false) === isArchived) return null
  plan.isArchived = isArchived
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

/** Removes a plan or scenario from the list of this device, with everything stored about it. Returns the list. */
export function forgetPlan(owner: string, id: string): PlanInfo[] {
  const plans = cachedPlans(owner)
    .filter((plan) => plan.id !== id)
    .map((plan) => (plan.scenarios ? { ...plan, scenarios: plan.scenarios.filter((scenario) => scenario.id !== id) } : plan))
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
