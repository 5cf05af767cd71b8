/** Dialogs of the list: bulk edits, department budgets, saved views, columns and their conflicts. */
import type { UrlHeads } from "@automerge/automerge-repo/slim"
import type { DepartmentBudgetsAtHeads } from "../plan/department-budgets"
import { type ColumnKey, fieldLabel, keyOf } from "../plan/fields"
import type { ColumnAtHeads } from "../plan/own-columns"
import type { Place } from "../plan/root-map"
import type { SavedView } from "../plan/saved-views"
import type { View } from "../plan/view"
import type { PlanSnapshot, PlanStore } from "../sync/plan-store"
import { BulkEditDialog } from "./BulkEditDialog"
import { ColumnDialog } from "./ColumnDialog"
import { ColumnsDialog } from "./ColumnsDialog"
import { ConflictDialog } from "./ConflictDialog"
import { DepartmentBudgetsDialog } from "./DepartmentBudgetsDialog"
import { findPlace } from "./place-conflicts"
import type { PlanActions } from "./plan-actions"
import type { ColumnSizes } from "./use-column-widths"
import { ViewNameDialog } from "./ViewNameDialog"

/** The open dialog. Views are written as the address names them; `base`: the heads when the dialog was opened. */
export type ListDialog =
  | { kind: "bulk"; ids: readonly string[] }
  | { kind: "budgets"; before: DepartmentBudgetsAtHeads }
  | { kind: "save-view"; view: string }
  | { kind: "rename-view"; saved: SavedView; base: UrlHeads }
  | { kind: "place"; place: Place }
  | { kind: "columns" }
  /** `before`: the column when the dialog was opened. */
  | { kind: "column"; before: ColumnAtHeads }

interface Props {
  dialog: ListDialog
  store: PlanStore
  snapshot: PlanSnapshot
  actions: PlanActions
  canEdit: boolean
  /** Columns that the view hides. */
  hidden: View["hidden"]
  onShowColumn: (key: ColumnKey, isShown: boolean) => void
  sizes: ColumnSizes
  /** Opens another of these dialogs. */
  onOpen: (dialog: ListDialog) => void
  onClose: () => void
}

export function ListDialogs({ dialog, store, snapshot, actions, canEdit, onOpen, onClose, ...list }: Props) {
  const { positions, columns, settings, savedViews } = snapshot
  switch (dialog.kind) {
    case "bulk": {
      const ids = new Set(dialog.ids)
      return (
        <BulkEditDialog
          positions={positions.filter(({ id }) => ids.has(id))}
          all={positions}
          settings={settings}
          onApply={(changes) => {
            onClose()
            actions.changeCells(changes, { done: "Changed", noun: "bulk edit" })
          }}
          onClose={onClose}
        />
      )
    }
    case "budgets":
      return (
        <DepartmentBudgetsDialog
          positions={positions}
          settings={settings}
          before={dialog.before}
          onSave={(changes) => {
            onClose()
            actions.setDepartmentBudgets(changes, dialog.before.heads)
          }}
          onClose={onClose}
        />
      )
    case "save-view":
      return (
        <ViewNameDialog
          title="Save the view"
          view={dialog.view}
          name=""
          others={savedViews.map(({ name }) => name)}
          onSave={(name) => {
            onClose()
            actions.saveView(name, dialog.view)
          }}
          onClose={onClose}
        />
      )
    case "rename-view": {
      const { saved, base } = dialog
      return (
        <ViewNameDialog
          title={`Rename ${saved.name}`}
          view={saved.view}
          name={saved.name}
          others={savedViews.flatMap(({ id, name }) => (id === saved.id ? [] : [name]))}
          onSave={(name) => {
            onClose()
            if (name !== saved.name) actions.changeView(saved, "name", name, base)
          }}
          onClose={onClose}
        />
      )
    }
    case "columns":
      return (
        <ColumnsDialog
          columns={columns}
          hidden={list.hidden}
          hasWidths={list.sizes.widths.size > 0}
          canEdit={canEdit}
          actions={actions}
          onShow={list.onShowColumn}
          onResetWidths={list.sizes.reset}
          onAdd={() => onOpen({ kind: "column", before: store.readColumn(null) })}
          onEdit={({ key }) => onOpen({ kind: "column", before: store.readColumn(key) })}
          onClose={onClose}
        />
      )
    case "column": {
      const { before } = dialog
      const { column, heads } = before
      return (
        <ColumnDialog
          before={before}
          others={columns.fields.filter((field) => keyOf(field) !== column?.key).map(fieldLabel)}
          positions={positions}
          onSave={(input) => {
            onClose()
            if (column) actions.changeColumn(column, input, heads)
            else actions.addColumn(input)
          }}
          onClose={onClose}
        />
      )
    }
    case "place": {
      const found = findPlace(snapshot, dialog.place)
      if (!found) return null
      const { place, title, value, setBy, conflict, format } = found
      return (
        <ConflictDialog
          store={store}
          title={title}
          value={value}
          setBy={setBy}
          conflict={conflict}
          format={format}
          onResolve={canEdit ? (operation) => actions.resolvePlace(place, operation) : null}
          onClose={onClose}
        />
      )
    }
  }
}
