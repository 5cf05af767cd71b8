import { useState } from "react"
import {
  type ComparedPosition,
  describeCounts,
  isEmptyMerge,
  labelOf,
  type MergeSummary,
  nameOf,
  nounOf,
  shownFields,
  showValue,
  summarizeMerge,
} from "../../plan/comparison"
import { useColumns } from "../columns-context"
import { Dialog } from "../Dialog"
import { DialogFoot } from "../DialogFoot"
import type { ComparisonState } from "./use-comparison"

interface Props {
  name: string
  /** Name of the plan. */
  plan: string
  /** The positions to merge; `null` merges everything. */
  rows: ReadonlySet<string> | null
  state: ComparisonState
  /** Why nothing can be merged now; `null` if it can. */
  obstacle: string | null
  /** Resolves when the server has merged; rejects with its reason. */
  onMerge: (summary: MergeSummary) => Promise<void>
  onClose: () => void
}

/** Number of positions that a question lists. */
export const MAX_LISTED = 20

/** Says what a merge brings, names its conflicts, and merges. */
export function MergeDialog({ name, plan, rows, state, obstacle, onMerge, onClose }: Props) {
  const [problem, setProblem] = useState("")
  const [isBusy, setBusy] = useState(false)
  const columns = useColumns()
  const summary = state.comparison && summarizeMerge(state.comparison, rows)
  const isEmpty = summary !== null && isEmptyMerge(summary)
  const merge = async () => {
    if (!summary) return
    setBusy(true)
    setProblem("")
    try {
      await onMerge(summary)
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error))
      setBusy(false)
      state.refresh()
    }
  }
  return (
    <Dialog title={rows ? `Merge selected positions of “${name}”` : `Merge “${name}” into the plan`} onClose={onClose}>
      {summary ? (
        <>
          <p>
            {isEmpty
              ? `The scenario has no changes to merge into ${plan}.`
              : `Everybody will see these changes in ${plan}: ${describeCounts(summary)}.`}
          </p>
          {summary.settings.length > 0 && (
            <ul className="consequences">
              {summary.settings.map(({ field, plan, scenario, conflict }) => (
                <li key={field}>
                  {labelOf(field, columns)}: {showValue(field, plan, columns)} → {showValue(field, scenario, columns)}
                  {conflict && " (conflict: the plan has changed it, too)"}
                </li>
              ))}
            </ul>
          )}
          <Listed
            positions={summary.conflicts}
            title={(count) => (count === 1 ? "1 conflict" : `${count} conflicts`)}
            help="The plan has changed these fields, too. Both values are kept, and “Needs review” lists them until somebody chooses one."
            line={(position) =>
              shownFields(position, columns)
                .filter(({ conflict }) => conflict)
                .map(
                  ({ field, plan, scenario }) =>
                    `${nounOf(field, columns)} ${showValue(field, plan, columns)} in the plan, ${showValue(field, scenario, columns)} in the scenario`,
                )
                .join("; ")
            }
          />
          <Listed
            positions={summary.losses}
            title={(count) =>
              count === 1 ? "1 position will be deleted, and changes are lost" : `${count} positions will be deleted, and changes are lost`
            }
            help="One side has deleted these positions and the other has changed them. You can restore them from the history."
            line={({ plan }) =>
              plan === "deleted" ? "deleted in the plan, changed in the scenario" : "changed in the plan, deleted in the scenario"
            }
          />
          {!isEmpty && <p className="fine">Undo does not cover a merge. The history of the plan shows each change.</p>}
        </>
      ) : (
        state.isReading && <p role="status">Comparing…</p>
      )}
      <p role="alert" className="problem">
        {problem || state.problem}
      </p>
      {obstacle !== null && (
        <p role="status" className="notice">
          {obstacle}
        </p>
      )}
      <DialogFoot
        onCancel={onClose}
        confirm="Merge"
        isDisabled={isBusy || isEmpty || !summary || state.isReading || obstacle !== null}
        onConfirm={() => void merge()}
      />
    </Dialog>
  )
}

interface ListedProps {
  positions: readonly ComparedPosition[]
  title: (count: string | 1) => string
  help: string
  line: (position: ComparedPosition) => string
}

function Listed({ positions, title, help, line }: ListedProps) {
  if (positions.length === 0) return null
  return (
    <section className="bad">
      <strong>{title(positions.length === 1 ? 1 : positions.length.toLocaleString())}</strong>
      <p>{help}</p>
      <ul className="consequences">
        {positions.slice(0, MAX_LISTED).map((position) => (
          <li key={position.id}>
            <strong>{nameOf(position)}</strong>: {line(position)}
          </li>
        ))}
        {positions.length > MAX_LISTED && <li>and {(positions.length - MAX_LISTED).toLocaleString()} more</li>}
      </ul>
    </section>
  )
}
