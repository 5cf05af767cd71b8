import { Pencil, Tag, Trash2 } from "lucide-react"
import { useId, useState } from "react"
import { describeCounts, isEmptyMerge, splitBySide, summarizeMerge } from "../../plan/comparison"
import { formatDateTime } from "../../plan/format"
import type { NamedVersion } from "../../plan/versions"
import type { PlanSnapshot, PlanStore } from "../../sync/plan-store"
import { ComparedMoney } from "../comparison/ComparedMoney"
import { ComparedPositions } from "../comparison/ComparedPositions"
import { ComparedSettings } from "../comparison/ComparedSettings"
import { VERSION_SIDES } from "../comparison/sides"
import { Dialog } from "../Dialog"
import { DialogFoot } from "../DialogFoot"
import { dateOf, type PastVersion, timeOf, versionName } from "./past-version"
import { type ComparedVersion, useVersionComparison } from "./use-version-comparison"

interface Props {
  store: PlanStore
  snapshot: PlanSnapshot
  /** The version that is shown first. */
  first: PastVersion
  /** First month of the year of the plan. */
  yearStart: string
  canEdit: boolean
  /** Names the version with these heads. */
  onName: (heads: readonly string[]) => void
  onRename: (version: NamedVersion) => void
  onDelete: (version: NamedVersion) => void
  onClose: () => void
}

/** What has changed in the plan since a date, a named version, or a change in its history. */
export function VersionDialog({ store, snapshot, first, yearStart, canEdit, onName, onRename, onDelete, onClose }: Props) {
  const { versions, settings, changes } = snapshot
  const [chosen, setChosen] = useState(first)
  const { version, problem, isReading } = useVersionComparison(store, chosen, versions, yearStart, changes)
  const named = chosen.kind === "named" ? versions.find(({ id }) => id === chosen.id) : undefined
  const isNamed = version !== null && versions.some(({ heads }) => heads.join() === version.heads.join())
  const comparison = version?.result.comparison
  return (
    <Dialog title="What has changed since" onClose={onClose}>
      <form className="version-form" onSubmit={(event) => event.preventDefault()}>
        <VersionSelect first={first} versions={versions} chosen={chosen} onChoose={setChosen} />
        {chosen.kind === "date" && <DateFields {...chosen} onChange={setChosen} />}
        {named && canEdit && (
          <span className="row-buttons">
            <button type="button" className="icon" aria-label={`Rename ${versionName(named)}`} onClick={() => onRename(named)}>
              <Pencil aria-hidden />
            </button>
            <button type="button" className="icon danger" aria-label={`Delete ${versionName(named)}`} onClick={() => onDelete(named)}>
              <Trash2 aria-hidden />
            </button>
          </span>
        )}
      </form>
      <div className="compare-head" aria-busy={isReading}>
        <p role="status">{version ? describe(version, nameOf(chosen, named)) : isReading ? "Comparing…" : ""}</p>
      </div>
      <p role="alert" className="problem">
        {problem || (snapshot.historyProblem && `The history could not be read: ${snapshot.historyProblem}`)}
      </p>
      {comparison && (
        <>
          <ComparedSettings fields={comparison.settings} sides={VERSION_SIDES} />
          <ComparedPositions
            key={version.heads.join()}
            positions={splitBySide(comparison).ofScenario}
            sides={VERSION_SIDES}
            ticked={NOTHING}
            onTick={null}
          />
          <ComparedMoney comparison={comparison} months={version.result.months} settings={settings} sides={VERSION_SIDES} />
        </>
      )}
      <DialogFoot onCancel={onClose} cancel="Close">
        {canEdit && version && !isNamed && (
          <button type="button" onClick={() => onName(version.heads)}>
            <Tag aria-hidden /> Name this version…
          </button>
        )}
      </DialogFoot>
    </Dialog>
  )
}

const NOTHING: ReadonlySet<string> = new Set()

/** The version inside a sentence. */
function nameOf(chosen: PastVersion, named: NamedVersion | undefined): string {
  if (chosen.kind === "state") return chosen.label
  if (chosen.kind === "date") return formatDateTime(timeOf(chosen))
  return named ? `“${versionName(named)}”` : "this version"
}

function describe({ last, result: { comparison } }: ComparedVersion, name: string): string {
  const summary = summarizeMerge(comparison, null)
  const what = isEmptyMerge(summary) ? `Nothing has changed since ${name}.` : `Since ${name}: ${describeCounts(summary)}.`
  if (!last) return what
  const time = last.time === null ? "" : `, ${formatDateTime(last.time)}`
  return `${what} The last change before was made by ${last.author}${time}.`
}

interface SelectProps {
  first: PastVersion
  versions: readonly NamedVersion[]
  chosen: PastVersion
  onChoose: (version: PastVersion) => void
}

const [STATE, DATE] = ["state", "date"]

function VersionSelect({ first, versions, chosen, onChoose }: SelectProps) {
  const id = useId()
  const choose = (value: string) => {
    if (value === STATE) onChoose(first)
    else if (value === DATE) onChoose({ kind: "date", date: dateOf(Date.now()), time: "" })
    else onChoose({ kind: "named", id: value.slice(1) })
  }
  return (
    <>
      <label htmlFor={id}>Since</label>
      <select
        id={id}
        value={chosen.kind === "named" ? `:${chosen.id}` : chosen.kind === "date" ? DATE : STATE}
        onChange={({ target }) => choose(target.value)}
      >
        {first.kind === "state" && <option value={STATE}>After {first.label}</option>}
        <option value={DATE}>A date</option>
        {versions.map((version) => (
          <option key={version.id} value={`:${version.id}`}>
            {versionName(version)}
            {version.at !== null && `, named ${formatDateTime(version.at)}`}
            {version.by && ` by ${version.by}`}
          </option>
        ))}
      </select>
    </>
  )
}

interface DateProps {
  date: string
  time: string
  onChange: (version: PastVersion) => void
}

function DateFields({ date, time, onChange }: DateProps) {
  const id = useId()
  return (
    <>
      <span className="fields">
        <label htmlFor={`${id}-date`}>Date</label>
        <input
          id={`${id}-date`}
          type="date"
          max={dateOf(Date.now())}
          value={date}
          onChange={({ target }) => onChange({ kind: "date", date: target.value, time })}
        />
      </span>
      <span className="fields">
        <label htmlFor={`${id}-time`}>Time</label>
        <input
          id={`${id}-time`}
          type="time"
          value={time}
          aria-describedby={`${id}-note`}
          onChange={({ target }) => onChange({ kind: "date", date, time: target.value })}
        />
      </span>
      <span id={`${id}-note`} className="fine">
        Without a time: the beginning of the day
      </span>
    </>
  )
}
