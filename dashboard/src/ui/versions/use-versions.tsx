/** Named versions of the open plan, and comparisons with earlier versions: commands for the menu and the palette, and the dialogs. */
import { decodeHeads } from "@automerge/automerge-repo/slim"
import { GitCompareArrows, Tag } from "lucide-react"
import { type ReactNode, useCallback, useState } from "react"
import { formatDateTime } from "../../plan/format"
import type { NamedVersion } from "../../plan/versions"
import type { PlanSnapshot, PlanStore } from "../../sync/plan-store"
import type { OnVersion } from "../history/PastPlanView"
import type { PlanCommand } from "../use-plan-management"
import { firstVersion, type PastVersion, versionName } from "./past-version"
import { VersionDialog } from "./VersionDialog"
import { VersionNameDialog } from "./VersionNameDialog"
import type { VersionActions } from "./version-actions"

interface Options {
  store: PlanStore
  snapshot: PlanSnapshot
  /** First month of the year of the plan. */
  yearStart: string
  canEdit: boolean
  actions: VersionActions
  showToast: (text: string) => void
}

type Naming =
  | { kind: "new"; heads: readonly string[]; about: string }
  | { kind: "rename"; version: NamedVersion; base: PlanSnapshot["heads"] }

export interface Versions {
  commands: readonly PlanCommand[]
  dialog: ReactNode
  /** Compares the plan with its state after a change of the history. */
  compareWithChange: OnVersion
  /** Names the state after a change of the history; `null` without edit access. */
  nameChange: OnVersion | null
}

/** A change of the history inside a sentence. */
const describeChange = ({ author, time }: Parameters<OnVersion>[0]): string =>
  `the change by ${author}${time === null ? "" : `, ${formatDateTime(time)}`}`

export function useVersions({ store, snapshot, yearStart, canEdit, actions, showToast }: Options): Versions {
  const [compared, setCompared] = useState<PastVersion | null>(null)
  const [naming, setNaming] = useState<Naming | null>(null)
  const closeNaming = useCallback(() => setNaming(null), [])
  const closeComparison = useCallback(() => setCompared(null), [])

  /** Reads the state after a change of the history. */
  const withHeads = (index: number, then: (heads: readonly string[]) => void) => {
    const read = store.history?.request("headsAt", { index }) ?? Promise.reject(new Error())
    read.then(then, () => showToast("The history could not be read."))
  }
  const commands: (PlanCommand | false)[] = [
    {
      id: "since",
      label: "What has changed since…",
      command: "Compare with an earlier version: what has changed since",
      icon: GitCompareArrows,
      run: () => setCompared(firstVersion(snapshot.versions, Date.now())),
    },
    canEdit && {
      id: "name-version",
      label: "Name this version…",
      command: "Name this version of the plan",
      icon: Tag,
      run: () => setNaming({ kind: "new", heads: decodeHeads(store.handle.heads()), about: "Keeps the plan as it is now under a name." }),
    },
  ]
  const others = snapshot.versions
    .filter((version) => naming?.kind !== "rename" || version.id !== naming.version.id)
    .map(({ name }) => name)
  const dialog = (
    <>
      {compared && (
        <VersionDialog
          {...{ store, snapshot, yearStart, canEdit }}
          first={compared}
          onName={(heads) => setNaming({ kind: "new", heads, about: "Keeps this earlier version of the plan under a name." })}
          onRename={(version) => setNaming({ kind: "rename", version, base: snapshot.heads })}
          onDelete={actions.deleteVersion}
          onClose={closeComparison}
        />
      )}
      {naming && canEdit && (
        <VersionNameDialog
          title={naming.kind === "new" ? "Name this version" : `Rename ${versionName(naming.version)}`}
          about={naming.kind === "new" ? naming.about : ""}
          name={naming.kind === "new" ? "" : naming.version.name}
          others={others}
          onSave={(name) => {
            setNaming(null)
            if (naming.kind === "new") actions.nameVersion(name, naming.heads)
            else if (name !== naming.version.name) actions.renameVersion(naming.version, name, naming.base)
          }}
          onClose={closeNaming}
        />
      )}
    </>
  )
  return {
    commands: commands.filter((command) => command !== false),
    dialog,
    compareWithChange: (change, index) => withHeads(index, (heads) => setCompared({ kind: "state", heads, label: describeChange(change) })),
    nameChange: canEdit
      ? (change, index) =>
          withHeads(index, (heads) => {
            const about = `Keeps the plan as it was after ${describeChange(change)}, under a name.`
            setNaming({ kind: "new", heads, about })
          })
      : null,
  }
}
