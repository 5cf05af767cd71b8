import { useState } from "react"
import { describeCounts, nounOf, splitBySide, summarizeMerge } from "../../plan/comparison"
import { SETTING_LABELS, type Settings } from "../../plan/schema"
import { useColumns } from "../columns-context"
import { ComparedMoney } from "../comparison/ComparedMoney"
import { ComparedPositions } from "../comparison/ComparedPositions"
import { ComparedSettings } from "../comparison/ComparedSettings"
import { UPDATE_SIDES } from "../comparison/sides"
import { Dialog } from "../Dialog"
import { DialogFoot } from "../DialogFoot"
import { MAX_LISTED } from "./MergeDialog"
import type { PlanUpdate, PlanUpdateState } from "./use-plan-update"

interface Props {
  name: string
  /** Name of the plan. */
  plan: string
  settings: Settings
  state: PlanUpdateState
  /** Resolves when the changes are in the scenario. */
  onUpdate: (update: PlanUpdate) => Promise<void>
  onClose: () => void
}

/** Shows what the newer changes of the plan change in the scenario, and merges them. */
export function UpdateDialog({ name, plan, settings, state, onUpdate, onClose }: Props) {
  const [isBusy, setBusy] = useState(false)
  const [problem, setProblem] = useState("")
  const { update } = state
  const comparison = update?.preview.comparison
  const isEmpty = update?.changes.length === 0
  const run = async (chosen: PlanUpdate) => {
    setBusy(true)
    setProblem("")
    try {
      await onUpdate(chosen)
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error))
      setBusy(false)
    }
  }
  return (
    <Dialog title={`Update “${name}” from the plan`} onClose={onClose}>
      <div aria-busy={update === null && state.problem === ""}>
        <p role="status">{update ? describe(update, plan) : state.problem === "" ? "Reading the plan…" : ""}</p>
      </div>
      <p role="alert" className="problem">
        {problem || state.problem}
      </p>
      {update && !update.isCurrent && (
        <p role="status" className="notice">
          The server cannot be asked for its newest changes. Only the changes of {plan} that this device has are shown and merged.
        </p>
      )}
      {update && comparison && (
        <>
          <Conflicts update={update} />
          <ComparedSettings fields={comparison.settings} sides={UPDATE_SIDES} />
          <ComparedPositions positions={splitBySide(comparison).ofScenario} sides={UPDATE_SIDES} ticked={NOTHING} onTick={null} />
          <ComparedMoney comparison={comparison} months={update.preview.months} settings={settings} sides={UPDATE_SIDES} />
          {!isEmpty && <p className="fine">Undo does not cover an update. The plan does not change.</p>}
        </>
      )}
      <DialogFoot
        onCancel={onClose}
        cancel={isEmpty ? "Close" : "Cancel"}
        isDisabled={isBusy || !update}
        {...(!isEmpty && { confirm: "Update the scenario", onConfirm: () => void (update && run(update)) })}
      />
    </Dialog>
  )
}

const NOTHING: ReadonlySet<string> = new Set()

function describe({ changes, preview }: PlanUpdate, plan: string): string {
  if (changes.length === 0) return `The scenario has all changes of ${plan}.`
  const counts = describeCounts(summarizeMerge(preview.comparison, null))
  return counts === "" ? `The newer changes of ${plan} change no shown value of the scenario.` : `The update changes: ${counts}.`
}

/** What both have changed: conflicts, and positions that the plan has deleted. */
function Conflicts({ update: { preview } }: { update: PlanUpdate }) {
  const columns = useColumns()
  const { conflicts, settingConflicts, comparison } = preview
  const losses = comparison.positions.filter(({ id }) => preview.losses.includes(id))
  const lines = [
    ...settingConflicts.map((key) => ({ key, name: SETTING_LABELS[key], text: "of the plan" })),
    ...conflicts.map(({ id, designation, fields }) => ({
      key: id,
      name: designation || "Untitled position",
      text: fields.map((field) => nounOf(field, columns)).join(", "),
    })),
  ]
  return (
    <>
      {lines.length > 0 && (
        <section className="bad">
          <strong>{lines.length === 1 ? "1 conflict" : `${lines.length.toLocaleString()} conflicts`}</strong>
          <p>The scenario has changed these, too. Both values are kept, and “Needs review” lists them until somebody chooses one.</p>
          <ul className="consequences">
            {lines.slice(0, MAX_LISTED).map(({ key, name, text }) => (
              <li key={key}>
                <strong>{name}</strong>: {text}
              </li>
            ))}
            {lines.length > MAX_LISTED && <li>and {(lines.length - MAX_LISTED).toLocaleString()} more</li>}
          </ul>
        </section>
      )}
      {losses.length > 0 && (
        <section className="bad">
          <strong>
            {losses.length === 1
              ? "1 position will be deleted, and changes are lost"
              : `${losses.length.toLocaleString()} positions will be deleted, and changes are lost`}
          </strong>
          <p>The plan has deleted these positions, and the scenario has changed them. You can restore them from the history.</p>
          <ul className="consequences">
            {losses.slice(0, MAX_LISTED).map(({ id, designation }) => (
              <li key={id}>{designation || "Untitled position"}</li>
            ))}
            {losses.length > MAX_LISTED && <li>and {(losses.length - MAX_LISTED).toLocaleString()} more</li>}
          </ul>
        </section>
      )}
    </>
  )
}
