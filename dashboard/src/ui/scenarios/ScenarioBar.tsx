import { ArrowLeft, GitBranch, GitCompare, GitMerge, GitPullRequestArrow, Trash2 } from "lucide-react"

interface Props {
  name: string
  /** Name of the plan. */
  plan: string
  isMerged: boolean
  onCompare: (() => void) | null
  /** Merges newer changes of the plan into the scenario; `null` if the user may not edit it. */
  onUpdate: (() => void) | null
  /** `null` if the user may not merge. */
  onMerge: (() => void) | null
  /** `null` if the user may not drop the scenario. */
  onDrop: (() => void) | null
  onLeave: () => void
}

/** Says that a scenario is open, and offers what can be done with it. */
export function ScenarioBar({ name, plan, isMerged, onCompare, onUpdate, onMerge, onDrop, onLeave }: Props) {
  return (
    <section className="scenario-bar" aria-label={`Scenario “${name}” of ${plan}`}>
      <p>
        <GitBranch aria-hidden />
        <span>
          Scenario <strong>“{name}”</strong> of {plan}
          {isMerged && <span className="tag">merged</span>}
        </span>
      </p>
      <div className="scenario-actions">
        {onCompare && (
          <button type="button" onClick={onCompare}>
            <GitCompare aria-hidden /> Compare
          </button>
        )}
        {onUpdate && (
          <button type="button" onClick={onUpdate}>
            <GitPullRequestArrow aria-hidden /> Update from the plan…
          </button>
        )}
        {onMerge && (
          <button type="button" onClick={onMerge}>
            <GitMerge aria-hidden /> Merge into the plan…
          </button>
        )}
        {onDrop && (
          <button type="button" className="scenario-drop" onClick={onDrop}>
            <Trash2 aria-hidden /> Drop…
          </button>
        )}
        <button type="button" onClick={onLeave}>
          <ArrowLeft aria-hidden /> Back to the plan
        </button>
      </div>
    </section>
  )
}
