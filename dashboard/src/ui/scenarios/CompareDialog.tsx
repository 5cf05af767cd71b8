import { GitPullRequestArrow, RefreshCw } from "lucide-react"
import { useState } from "react"
import { type ComparedPosition, type Comparison, describeCounts, isEmptyMerge, splitBySide, summarizeMerge } from "../../plan/comparison"
import type { MonthDifference } from "../../plan/monthly-difference"
import type { Settings } from "../../plan/schema"
import { ComparedMoney } from "../comparison/ComparedMoney"
import { ComparedPositions } from "../comparison/ComparedPositions"
import { ComparedSettings } from "../comparison/ComparedSettings"
import { SCENARIO_SIDES } from "../comparison/sides"
import { Dialog } from "../Dialog"
import { DialogFoot } from "../DialogFoot"
import type { ComparisonState } from "./use-comparison"

interface Props {
  name: string
  /** Name of the plan. */
  plan: string
  settings: Settings
  /** What the scenario changes in the months of the plan; `null` if it cannot be computed. */
  months: readonly MonthDifference[] | null
  state: ComparisonState
  /** Why the comparison may not be complete; `null` if it is. */
  remark: string | null
  /** Opens the dialog for merging these positions, or everything; `null` if the user may not merge. */
  onMerge: ((rows: ReadonlySet<string> | null) => void) | null
  /** Opens the dialog for merging what only the plan has changed; `null` if the user may not edit the scenario. */
  onUpdate: (() => void) | null
  onClose: () => void
}

/** What the scenario changes, and what has changed in the plan meanwhile. */
export function CompareDialog({ name, plan, settings, months, state, remark, onMerge, onUpdate, onClose }: Props) {
  const { comparison, isReading, problem, refresh } = state
  const [ticked, setTicked] = useState<ReadonlySet<string>>(new Set())
  const sides = comparison && splitBySide(comparison)
  // A position may have left the comparison since it was ticked.
  const chosen = new Set(sides?.ofScenario.filter(({ id }) => ticked.has(id)).map(({ id }) => id))
  const hasChanges = comparison !== null && !isEmptyMerge(summarizeMerge(comparison, null))
  const toggle = (ids: readonly string[], isTicked: boolean) => {
    const next = new Set(ticked)
    for (const id of ids) isTicked ? next.add(id) : next.delete(id)
    setTicked(next)
  }
  return (
    <Dialog title={`Compare “${name}” with the plan`} onClose={onClose}>
      <div className="compare-head" aria-busy={isReading}>
        <p role="status">{comparison ? describe(comparison, plan) : isReading ? "Comparing…" : ""}</p>
        <button type="button" disabled={isReading} onClick={refresh}>
          <RefreshCw aria-hidden /> Refresh
        </button>
      </div>
      <p role="alert" className="problem">
        {problem}
      </p>
      {remark !== null && (
        <p role="status" className="notice">
          {remark}
        </p>
      )}
      {comparison && sides && (
        <>
          <ComparedSettings fields={comparison.settings} sides={SCENARIO_SIDES} />
          <ComparedPositions positions={sides.ofScenario} sides={SCENARIO_SIDES} ticked={chosen} onTick={onMerge && toggle} />
          <ComparedMoney comparison={comparison} months={months} settings={settings} sides={SCENARIO_SIDES} />
          {sides.ofPlan.length > 0 && <PlanSection positions={sides.ofPlan} onUpdate={onUpdate} />}
        </>
      )}
      <DialogFoot
        onCancel={onClose}
        cancel="Close"
        isDisabled={!hasChanges}
        {...(onMerge && { confirm: "Merge everything…", onConfirm: () => onMerge(null) })}
      >
        {onMerge && chosen.size > 0 && (
          <button type="button" onClick={() => onMerge(chosen)}>
            Merge {chosen.size.toLocaleString()} selected…
          </button>
        )}
      </DialogFoot>
    </Dialog>
  )
}

function describe(comparison: Comparison, plan: string): string {
  const summary = summarizeMerge(comparison, null)
  const { conflicts, losses } = summary
  const counts = describeCounts(summary)
  const sentences = [counts === "" ? `The scenario has no changes that ${plan} does not have.` : `The scenario changes: ${counts}.`]
  if (conflicts.length > 0) sentences.push(conflicts.length === 1 ? "1 conflict." : `${conflicts.length.toLocaleString()} conflicts.`)
  if (losses.length > 0)
    sentences.push(
      losses.length === 1 ? "1 position would lose changes." : `${losses.length.toLocaleString()} positions would lose changes.`,
    )
  return sentences.join(" ")
}

/** Positions that only the plan has changed. The scenario does not have these changes. */
function PlanSection({ positions, onUpdate }: { positions: readonly ComparedPosition[]; onUpdate: Props["onUpdate"] }) {
  return (
    <details className="compare-plan">
      <summary>Changed only in the plan since ({positions.length.toLocaleString()})</summary>
      <ComparedPositions positions={positions} sides={SCENARIO_SIDES} side="plan" ticked={new Set()} onTick={null} />
      {onUpdate && (
        <button type="button" onClick={onUpdate}>
          <GitPullRequestArrow aria-hidden /> Update from the plan…
        </button>
      )}
    </details>
  )
}
