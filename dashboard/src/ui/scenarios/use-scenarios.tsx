/** Scenarios of the open plan, or the open scenario: commands for the menu and the palette, the bar of a scenario, and the dialogs. */
import { ArrowLeft, GitBranch, GitCompare, GitMerge, GitPullRequestArrow, Pencil, Trash2 } from "lucide-react"
import { type ReactNode, useCallback, useMemo, useState } from "react"
import { describeCounts, type MergeSummary, splitBySide, summarizeMerge } from "../../plan/comparison"
import { monthlyDifference } from "../../plan/monthly-difference"
import type { Settings } from "../../plan/schema"
import type { OtherDocument } from "../../sync/open-document"
import type { PlanStore } from "../../sync/plan-store"
import type { PlanInfo, ScenarioPlace } from "../../sync/plans"
import { createScenario, dropScenario, mergeScenario, renameScenario } from "../../sync/scenarios"
import type { Session } from "../../sync/session"
import type { SyncState } from "../../sync/sync-status"
import { countChanges } from "../SyncBadge"
import type { PlanCommand } from "../use-plan-management"
import { CompareDialog } from "./CompareDialog"
import { DropDialog } from "./DropDialog"
import { MergeDialog } from "./MergeDialog"
import { ScenarioBar } from "./ScenarioBar"
import { ScenarioNameDialog } from "./ScenarioNameDialog"
import { UpdateDialog } from "./UpdateDialog"
import { useComparison } from "./use-comparison"
import { type PlanUpdate, usePlanUpdate } from "./use-plan-update"

/** What the page does around scenarios. */
export interface ScenarioHandlers {
  /** Reads the list of plans again. */
  onAccessChanged: () => Promise<void>
  onOpen: (id: string) => void
  /** Leaves the scenario, opens its plan and shows a message there. */
  onLeaveScenario: (plan: string, message: string) => void
  /** A scenario was deleted: removes it from this device, opens its plan and shows a message there. */
  onScenarioDropped: (scenario: string, plan: string, message: string) => void
  /** Opens another document beside the open one; `null` if it is neither on this device nor on the server. */
  openOther: (id: string) => Promise<OtherDocument | null>
}

interface Options extends ScenarioHandlers {
  /** The open document. */
  store: PlanStore
  /** The open scenario; `null` if a plan is open. */
  place: ScenarioPlace | null
  /** The plan in the list of the server; `undefined` before it is listed. */
  info: PlanInfo | undefined
  settings: Settings
  /** First month of the year of the plan. */
  yearStart: string
  author: string
  session: Session
  sync: SyncState
  /** The user has write access. */
  canWrite: boolean
  isArchived: boolean
  /** The document was deleted, or the user has lost access to it. */
  isRemoved: boolean
  showToast: (text: string) => void
}

type OpenDialog =
  | { kind: "try" }
  | { kind: "rename" }
  | { kind: "compare" }
  | { kind: "merge"; rows: ReadonlySet<string> | null }
  | { kind: "update" }
  | { kind: "drop" }

export interface Scenarios {
  commands: readonly PlanCommand[]
  bar: ReactNode
  dialog: ReactNode
}

export function useScenarios(options: Options): Scenarios {
  const { store, yearStart, place, info, settings, author, session, sync, canWrite, isArchived, isRemoved } = options
  const [open, setOpen] = useState<OpenDialog | null>(null)
  const close = useCallback(() => setOpen(null), [])
  const isOnline = sync.kind !== "offline"
  const title = place?.scenario.name || "Untitled scenario"
  const planName = (place ? place.plan.name : settings.name) || "Untitled plan"
  const waiting = sync.pending > 0 ? countChanges(sync.pending) : null

  /** Why something that needs the server cannot be done now. `needsAll`: it needs the changes of this device, too. */
  const obstacle = (what: string, needsAll: boolean): string | null => {
    if (!isOnline) return `You are offline. Connect to the server to ${what}.`
    if (needsAll && waiting) return `You can ${what} when all changes of this device have reached the server: ${waiting} waiting.`
    return null
  }
  const create = async (name: string) => {
    const made = await createScenario(store.id, name, author)
    // The list says which right the user has.
    await options.onAccessChanged()
    close()
    options.onOpen(made.id)
  }
  const canTry = canWrite && !isArchived && info?.isLocal !== true
  const tryCommand: PlanCommand = {
    id: "scenario",
    label: place ? "Try another scenario…" : "Try a scenario…",
    command: place ? "Try another scenario, from this one" : "Try a scenario",
    icon: GitBranch,
    run: () => setOpen({ kind: "try" }),
  }
  const tryDialog = open?.kind === "try" && (
    <ScenarioNameDialog
      title={place ? "Try another scenario" : "Try a scenario"}
      name=""
      button="Create scenario"
      obstacle={obstacle("create a scenario", true)}
      onSave={create}
      onClose={close}
    >
      <p>
        A scenario is a copy of {place ? `“${title}”` : planName}: you change it without changing the plan, compare it with the plan, and
        merge what you want to keep. Everybody with access to the plan can see it.
      </p>
    </ScenarioNameDialog>
  )
  if (!place) return { commands: canTry ? [tryCommand] : [], bar: null, dialog: tryDialog || null }

  const { plan, scenario } = place
  const leave = () => options.onOpen(plan.id)
  const compare = () => setOpen({ kind: "compare" })
  const merge = (rows: ReadonlySet<string> | null) => setOpen({ kind: "merge", rows })
  const canMerge = canWrite
  const canUpdate = canWrite && !isArchived
  const update = () => setOpen({ kind: "update" })
  const canDrop = canWrite && (plan.access === "own" || scenario.createdBy === session.user?.name)
  const onMerge = async (rows: ReadonlySet<string> | null, summary: MergeSummary) => {
    const { conflicts } = await mergeScenario(plan.id, scenario.id, rows && [...rows], author)
    // The dialog returns the focus, which must not move to the next view.
    close()
    options.onLeaveScenario(plan.id, `Merged “${title}”: ${describeCounts(summary)}.${describeConflicts(conflicts.length)}`)
  }
  const onUpdate = async ({ changes, preview }: PlanUpdate) => {
    await store.applyChanges(changes)
    close()
    const counts = describeCounts(summarizeMerge(preview.comparison, null))
    const conflicts = preview.conflicts.length + preview.settingConflicts.length
    options.showToast(`Updated “${title}” from the plan${counts === "" ? "" : `: ${counts}`}.${describeConflicts(conflicts)}`)
  }
  const onDrop = async () => {
    await dropScenario(plan.id, scenario.id, author)
    close()
    options.onScenarioDropped(scenario.id, plan.id, `The scenario “${title}” was dropped.`)
  }
  const mergeObstacle = plan.isArchived ? "The plan is archived. Restore it before you merge." : obstacle("merge", true)
  const remark = !isOnline
    ? "You are offline. Connect to the server to compare."
    : waiting &&
      `${waiting} of this device ${sync.pending === 1 ? "has" : "have"} not reached the server yet and ${sync.pending === 1 ? "is" : "are"} not in this comparison.`
  const commands: (PlanCommand | false)[] = [
    canTry && tryCommand,
    !isRemoved && {
      id: "compare",
      label: "Compare with the plan",
      command: "Compare this scenario with the plan",
      icon: GitCompare,
      run: compare,
    },
    canUpdate && {
      id: "update",
      label: "Update from the plan…",
      command: "Update this scenario from the plan",
      icon: GitPullRequestArrow,
      run: update,
    },
    canMerge && {
      id: "merge",
      label: "Merge into the plan…",
      command: "Merge this scenario into the plan",
      icon: GitMerge,
      run: () => merge(null),
    },
    canWrite && {
      id: "rename",
      label: "Rename scenario…",
      command: "Rename this scenario",
      icon: Pencil,
      run: () => setOpen({ kind: "rename" }),
    },
    canDrop && {
      id: "drop",
      label: "Drop scenario…",
      command: "Drop this scenario",
      icon: Trash2,
      isDangerous: true,
      run: () => setOpen({ kind: "drop" }),
    },
    { id: "leave", label: "Back to the plan", command: "Go back to the plan", icon: ArrowLeft, run: leave },
  ]
  const dialog =
    open?.kind === "compare" || open?.kind === "merge" ? (
      <ComparisonDialogs
        place={place}
        isSynced={isOnline && waiting === null}
        merge={open.kind === "merge" ? open : null}
        {...{ store, yearStart, title, planName, settings, remark, mergeObstacle, onMerge }}
        onAskMerge={canMerge ? merge : null}
        onAskUpdate={canUpdate ? update : null}
        onClose={close}
      />
    ) : open?.kind === "update" ? (
      <OpenUpdateDialog
        {...{ store, yearStart, settings, onUpdate }}
        plan={plan.id}
        name={title}
        planName={planName}
        openOther={options.openOther}
        onClose={close}
      />
    ) : open?.kind === "rename" ? (
      <ScenarioNameDialog
        title="Rename scenario"
        name={scenario.name}
        button="Rename"
        obstacle={obstacle("rename the scenario", false)}
        onSave={async (name) => {
          await renameScenario(plan.id, scenario.id, name, author)
          await options.onAccessChanged()
          setOpen(null)
        }}
        onClose={close}
      />
    ) : open?.kind === "drop" ? (
      <DropDialog name={title} obstacle={obstacle("drop the scenario", false)} onDrop={onDrop} onClose={close} />
    ) : (
      tryDialog || null
    )
  const bar = (
    <ScenarioBar
      name={title}
      plan={planName}
      isMerged={scenario.isMerged}
      onCompare={isRemoved ? null : compare}
      onUpdate={canUpdate ? update : null}
      onMerge={canMerge ? () => merge(null) : null}
      onDrop={canDrop ? () => setOpen({ kind: "drop" }) : null}
      onLeave={leave}
    />
  )
  return { commands: commands.filter((command) => command !== false), bar, dialog }
}

const describeConflicts = (count: number): string =>
  count === 0 ? "" : count === 1 ? " 1 conflict needs review." : ` ${count.toLocaleString()} conflicts need review.`

interface UpdateProps {
  store: PlanStore
  /** Id and name of the plan. */
  plan: string
  planName: string
  name: string
  yearStart: string
  settings: Settings
  openOther: ScenarioHandlers["openOther"]
  onUpdate: (update: PlanUpdate) => Promise<void>
  onClose: () => void
}

function OpenUpdateDialog({ store, plan, planName, name, yearStart, settings, openOther, onUpdate, onClose }: UpdateProps) {
  const state = usePlanUpdate(store, plan, yearStart, openOther)
  return <UpdateDialog {...{ name, settings, state, onUpdate, onClose }} plan={planName} />
}

interface DialogProps {
  store: PlanStore
  yearStart: string
  place: ScenarioPlace
  title: string
  planName: string
  settings: Settings
  isSynced: boolean
  remark: string | null
  mergeObstacle: string | null
  /** The open question; `null` while the comparison is shown. */
  merge: { rows: ReadonlySet<string> | null } | null
  onAskMerge: ((rows: ReadonlySet<string> | null) => void) | null
  onAskUpdate: (() => void) | null
  onMerge: (rows: ReadonlySet<string> | null, summary: MergeSummary) => Promise<void>
  onClose: () => void
}

/** The comparison, or the question before a merge. Both show the same reading. */
function ComparisonDialogs({ place, title, planName, settings, merge, onAskMerge, onAskUpdate, onMerge, onClose, ...rest }: DialogProps) {
  const { store, yearStart, remark } = rest
  const state = useComparison(place.plan.id, place.scenario.id, rest.isSynced)
  const { comparison } = state
  const months = useMemo(() => {
    const ids = comparison && splitBySide(comparison).ofScenario.map(({ id }) => id)
    return ids && monthlyDifference(store.handle.doc(), ids, comparison.base, yearStart)
  }, [store, comparison, yearStart])
  if (merge)
    return (
      <MergeDialog
        name={title}
        plan={planName}
        rows={merge.rows}
        state={state}
        obstacle={rest.mergeObstacle}
        onMerge={(summary) => onMerge(merge.rows, summary)}
        onClose={onClose}
      />
    )
  return (
    <CompareDialog
      name={title}
      plan={planName}
      {...{ settings, months, state, remark }}
      onMerge={onAskMerge}
      onUpdate={onAskUpdate}
      onClose={onClose}
    />
  )
}
