/** Dialogs of the plan: conflicts, history, comments, import, settings, commands. */

import type { Refusal } from "../grid/cell-changes"
import type { DeletedEvent } from "../history/events"
import type { SettingsAtHeads } from "../plan/edit"
import { type ColumnKey, fieldLabel } from "../plan/fields"
import { formatFieldValue, unitName } from "../plan/format"
import { SETTING_LABELS, type Setting, shownValue } from "../plan/schema"
import type { ImportChanges } from "../plan/table-import/review"
import type { PlanSnapshot, PlanStore } from "../sync/plan-store"
import { type Command, CommandPalette } from "./CommandPalette"
import { ConflictDialog } from "./ConflictDialog"
import { CommentsDialog } from "./comments/CommentsDialog"
import { HistoryPanel } from "./HistoryPanel"
import { ImportDialog } from "./ImportDialog"
import { PlanDialog } from "./PlanDialog"
import type { PlanActions } from "./plan-actions"
import { RefusalsDialog } from "./RefusalsDialog"
import { ShortcutsDialog } from "./ShortcutsDialog"
import type { Versions } from "./versions/use-versions"

/** The open dialog. */
export type OpenDialog =
  | { kind: "conflict"; id: string; field: ColumnKey }
  | { kind: "setting"; key: Setting }
  | { kind: "history"; id: string | null }
  | { kind: "comments"; id: string }
  | { kind: "import"; text: string | null }
  | { kind: "settings"; before: SettingsAtHeads }
  | { kind: "refusals"; title: string; refusals: readonly Refusal[] }
  | { kind: "commands" }
  | { kind: "shortcuts" }

interface Props {
  dialog: OpenDialog
  store: PlanStore
  snapshot: PlanSnapshot
  actions: PlanActions
  canEdit: boolean
  isScenario: boolean
  /** The server authenticates users. */
  hasAttribution: boolean
  /** Name of the user, and the name that changes carry. */
  me: string
  author: string
  /** People who can be mentioned in comments. */
  mentionable: readonly string[]
  /** The commands of the palette. */
  commands: () => readonly Command[]
  onSearch: (search: string) => void
  onImport: (changes: ImportChanges) => void
  onRestorePositions: (deleted: readonly DeletedEvent[]) => void
  onComments: (id: string) => void
  versions: Pick<Versions, "compareWithChange" | "nameChange">
  onClose: () => void
}

export function PlanDialogs({ dialog, store, snapshot, actions, canEdit, onClose, ...rest }: Props) {
  const { settings } = snapshot
  const position = "id" in dialog && dialog.id !== null ? store.get(dialog.id) : undefined
  switch (dialog.kind) {
    case "conflict": {
      const { id, field: key } = dialog
      const field = snapshot.columns.known(key)
      return (
        position && (
          <ConflictDialog
            store={store}
            title={`${fieldLabel(field)} of ${position.designation}`}
            value={shownValue(position, key)}
            format={(value) => formatFieldValue(field, value)}
            setBy={position.updatedBy}
            conflict={position.conflicts?.[key] ?? null}
            onResolve={canEdit ? (operation) => actions.resolve(id, key, operation) : null}
            onClose={onClose}
          />
        )
      )
    }
    case "setting": {
      const { key } = dialog
      return (
        <ConflictDialog
          store={store}
          title={`${SETTING_LABELS[key]} of the plan`}
          value={settings[key]}
          setBy=""
          conflict={snapshot.settingConflicts?.[key] ?? null}
          format={(value) => (key === "unit" ? unitName(Number(value)) || "single" : formatFieldValue(key, value))}
          onResolve={canEdit ? (operation) => actions.resolveSetting(key, operation) : null}
          onClose={onClose}
        />
      )
    }
    case "history":
      return (
        <HistoryPanel
          store={store}
          snapshot={snapshot}
          id={dialog.id}
          position={position}
          canEdit={canEdit}
          hasAttribution={rest.hasAttribution}
          onRestore={actions.setValue}
          onRestorePositions={rest.onRestorePositions}
          onApprove={actions.approve}
          onComments={rest.onComments}
          onCompare={rest.versions.compareWithChange}
          onNameVersion={rest.versions.nameChange}
          onClose={onClose}
        />
      )
    case "comments":
      return (
        <CommentsDialog
          id={dialog.id}
          name={position?.designation ?? null}
          comments={snapshot.comments.get(dialog.id) ?? []}
          people={rest.mentionable}
          me={rest.me}
          author={rest.author}
          canEdit={canEdit}
          draftPlace={{ owner: store.syncStatus.owner, plan: store.id, position: dialog.id }}
          actions={actions}
          onClose={onClose}
        />
      )
    case "import":
      return (
        <ImportDialog
          text={dialog.text}
          store={store}
          settings={settings}
          onImport={(changes) => {
            onClose()
            rest.onImport(changes)
          }}
          onClose={onClose}
        />
      )
    case "settings": {
      const { before } = dialog
      return (
        <PlanDialog
          title={rest.isScenario ? "Settings of the scenario" : "Plan settings"}
          settings={before.settings}
          opened={before}
          hasName={!rest.isScenario}
          button="Save"
          onSave={(next) => {
            onClose()
            actions.changeSettings(next, before)
          }}
          onClose={onClose}
        />
      )
    }
    case "commands":
      return <CommandPalette commands={rest.commands()} onSearch={rest.onSearch} onClose={onClose} />
    case "shortcuts":
      return <ShortcutsDialog onClose={onClose} />
    case "refusals":
      return <RefusalsDialog title={dialog.title} refusals={dialog.refusals} onClose={onClose} />
  }
}
