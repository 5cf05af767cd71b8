import { useRef } from "react"
import { findScenario, type PlanInfo, type ScenarioPlace } from "../../sync/plans"

/** The open scenario with its plan; `null` if a plan is open. A scenario that somebody has deleted keeps its last entry of the list. */
export function useScenarioPlace(plans: readonly PlanInfo[], id: string | null): ScenarioPlace | null {
  const last = useRef<ScenarioPlace | null>(null)
  last.current = findScenario(plans, id) ?? (last.current?.scenario.id === id ? last.current : null)
  return last.current
}
