import { ArrowLeft, ArrowRight, Pencil, Plus, Trash2, Undo2 } from "lucide-react"
import { useState } from "react"
import { canMove } from "../plan/column-order"
import type { PlanColumns } from "../plan/columns"
import { type ColumnKey, type Field, fieldLabel, isOwnColumn, keyOf } from "../plan/fields"
import { COLUMN_TYPE_LABELS, type ColumnType, type PlanColumn } from "../plan/own-columns"
import { Dialog } from "./Dialog"
import { DialogFoot } from "./DialogFoot"
import type { PlanActions } from "./plan-actions"

interface Props {
  columns: PlanColumns
  /** Columns that the view hides. */
  hidden: ReadonlySet<ColumnKey>
  /** The user has resized columns. */
  hasWidths: boolean
  canEdit: boolean
  actions: Pick<PlanActions, "moveColumn" | "deleteColumn" | "restoreColumn">
  onShow: (key: ColumnKey, isShown: boolean) => void
  onResetWidths: () => void
  onAdd: () => void
  onEdit: (column: PlanColumn) => void
  onClose: () => void
}

/** The columns of the list: shows and hides them; adds, changes, moves and deletes those of the plan. */
export function ColumnsDialog({ columns, hidden, hasWidths, canEdit, actions, onShow, onResetWidths, onAdd, onEdit, onClose }: Props) {
  /** The column that was moved last. */
  const [moved, setMoved] = useState<string | null>(null)
  const place = columns.fields.findIndex((field) => keyOf(field) === moved) + 1
  return (
    <Dialog title="Columns" onClose={onClose}>
      <p role="status" className="hidden">
        {moved !== null && place > 0 && `${columns.label(moved)} is column ${place} of ${columns.fields.length}.`}
      </p>
      <p className="fine">
        Columns are hidden in this view only, and exported all the same. A saved view keeps which ones it hides. Adding, renaming, moving
        and deleting a column applies to everybody.
      </p>
      <ul className="columns-list" aria-label="Columns">
        {columns.fields.map((field, at) => (
          <ColumnRow
            key={keyOf(field)}
            field={field}
            isFirst={at === 0}
            isShown={at === 0 || !hidden.has(keyOf(field))}
            columns={columns}
            canEdit={canEdit}
            actions={actions}
            onShow={(isShown) => onShow(keyOf(field), isShown)}
            onMove={(column, by) => {
              actions.moveColumn(column, by)
              setMoved(column.key)
            }}
            onEdit={onEdit}
          />
        ))}
      </ul>
      {columns.deleted.length > 0 && canEdit && (
        <section className="stack" aria-label="Deleted columns">
          <h3>Deleted columns</h3>
          <p className="fine">Their values are kept in the positions.</p>
          <ul className="columns-list">
            {columns.deleted.map((column) => (
              <li key={column.key}>
                <span className="column-name">{column.label}</span>
                <button type="button" onClick={() => actions.restoreColumn(column)}>
                  <Undo2 aria-hidden /> Restore<span className="hidden"> {column.label}</span>
                </button>
              </li>
            ))}
          </ul>
        </section>
      )}
      <DialogFoot onCancel={onClose} cancel="Close">
        {hasWidths && (
          <button type="button" onClick={onResetWidths}>
            Reset widths
          </button>
        )}
        {canEdit && (
          <button type="button" className="primary" onClick={onAdd}>
            <Plus aria-hidden /> Add a column…
          </button>
        )}
      </DialogFoot>
    </Dialog>
  )
}

interface RowProps extends Pick<Props, "columns" | "canEdit" | "actions" | "onEdit"> {
  field: Field
  /** The first column names the position, and is always shown. */
  isFirst: boolean
  isShown: boolean
  onShow: (isShown: boolean) => void
  onMove: (column: PlanColumn, by: -1 | 1) => void
}

function ColumnRow({ field, isFirst, isShown, columns, canEdit, actions, onShow, onMove, onEdit }: RowProps) {
  const column = isOwnColumn(field) ? columns.column(field.key) : null
  const label = fieldLabel(field)
  return (
    <li>
      <label className="check column-name">
        <input type="checkbox" checked={isShown} disabled={isFirst} onChange={(event) => onShow(event.target.checked)} />
        <span className="hidden">Show </span>
        {label}
        {column && <span className="tag">{COLUMN_TYPE_LABELS[column.kind as ColumnType] ?? "Unknown type"}</span>}
        {column?.conflicts && <span className="tag doubtful">conflict</span>}
      </label>
      {column && canEdit && (
        <span className="row-buttons">
          {([-1, 1] as const).map((by) => (
            <button
              key={by}
              type="button"
              className="icon"
              aria-label={`Move ${label} to the ${by < 0 ? "left" : "right"}`}
              title={by < 0 ? "Move to the left" : "Move to the right"}
              aria-disabled={!canMove(columns, column.key, by)}
              onClick={() => canMove(columns, column.key, by) && onMove(column, by)}
            >
              {by < 0 ? <ArrowLeft aria-hidden /> : <ArrowRight aria-hidden />}
            </button>
          ))}
          <button type="button" className="icon" aria-label={`Change ${label}`} title="Change" onClick={() => onEdit(column)}>
            <Pencil aria-hidden />
          </button>
          <button
            type="button"
            className="icon danger"
            aria-label={`Delete ${label}`}
            title="Delete"
            onClick={() => actions.deleteColumn(column)}
          >
            <Trash2 aria-hidden />
          </button>
        </span>
      )}
    </li>
  )
}
