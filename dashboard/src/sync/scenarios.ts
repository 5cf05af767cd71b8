/** Scenarios of a plan: the server creates, compares and merges them. All requests need a connection. */
import { type Comparison, expandMaps } from "../plan/comparison"
import { callApi } from "./api"

/** A scenario in the list of its plan. */
export interface ScenarioInfo {
  id: string
  /** Empty if its maker gave none. */
  name: string
  /** `null` if unknown. */
  createdBy: string | null
  isMerged: boolean
}

/** A scenario as the server lists it. */
export interface ScenarioResponse {
  id: string
  name: string | null
  createdBy: string | null
  state: string
}

export const toScenario = ({ id, name, createdBy, state }: ScenarioResponse): ScenarioInfo => ({
  id,
  name: name ?? "",
  createdBy,
  isMerged: state === "merged",
})

/** Positions that a merge left in conflict, and positions that are deleted although one side has changed them. */
export interface MergeResult {
  conflicts: readonly string[]
  losses: readonly string[]
}

const pathOf = (plan: string, rest: string, author?: string) =>
  `api/documents/${plan}/${rest}${author === undefined ? "" : `?author=${encodeURIComponent(author)}`}`

/** Creates a scenario from a plan, or from another scenario. */
export async function createScenario(source: string, name: string, author: string): Promise<ScenarioInfo> {
  const response = await callApi(pathOf(source, "scenarios", author), "POST", { name })
  return toScenario((await response.json()) as ScenarioResponse)
}

export async function renameScenario(plan: string, scenario: string, name: string, author: string): Promise<void> {
  await callApi(pathOf(plan, `scenarios/${scenario}`, author), "PATCH", { name })
}

/** Deletes a scenario for everybody. */
export async function dropScenario(plan: string, scenario: string, author: string): Promise<void> {
  await callApi(pathOf(plan, `scenarios/${scenario}`, author), "DELETE")
}

export async function compareScenario(plan: string, scenario: string): Promise<Comparison> {
  const comparison = (await (await callApi(`${pathOf(plan, "diff")}?with=${scenario}`)).json()) as Comparison
  return { ...comparison, settings: expandMaps(comparison.settings) }
}

/** Merges these positions of a scenario into its plan; `null` merges everything. */
export async function mergeScenario(plan: string, scenario: string, rows: readonly string[] | null, author: string): Promise<MergeResult> {
  const response = await callApi(pathOf(plan, "merge", author), "POST", { scenario, ...(rows && { rows }) })
  return (await response.json()) as MergeResult
}
