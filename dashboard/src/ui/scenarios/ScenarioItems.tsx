import { Check, GitBranch } from "lucide-react"
import type { PlanInfo } from "../../sync/plans"
import { countChanges } from "../SyncBadge"

interface Props {
  plan: PlanInfo
  /** Id of the open plan or scenario. */
  current: string
  /** Number of unsynced changes by plan. */
  pending: ReadonlyMap<string, number>
  onOpen: (id: string) => void
}

/** The scenarios of a plan in the menu of plans. */
export function ScenarioItems({ plan, current, pending, onOpen }: Props) {
  const { scenarios = [] } = plan
  if (scenarios.length === 0) return null
  return (
    <ul className="items scenario-items" aria-label={`Scenarios of ${plan.name || "Untitled plan"}`}>
      {scenarios.map(({ id, name, isMerged }) => (
        <li key={id}>
          <button type="button" aria-current={id === current} onClick={() => onOpen(id)}>
            {id === current ? <Check aria-hidden /> : <GitBranch aria-hidden />}
            <span>{name || "Untitled scenario"}</span>
            {isMerged && <span className="tag">merged</span>}
            {pending.has(id) && <span className="tag">{countChanges(pending.get(id) ?? 0)} waiting</span>}
          </button>
        </li>
      ))}
    </ul>
  )
}
