import { History, Trash2 } from "lucide-react"
import { memo } from "react"
import type { Comment } from "../../plan/comments"
import { type Field, keyOf } from "../../plan/fields"
import { formatDateTime, formatRelativeTime } from "../../plan/format"
import type { Position } from "../../plan/schema"
import type { Highlight } from "../../sync/plan-store"
import type { Person } from "../../sync/presence"
import { type Column, FIRST_FIELD } from "./columns"
import { GridCell } from "./GridCell"
import type { CellEdit, RowActions, RowRange } from "./row-actions"

interface Props {
  position: Position
  /** The columns that the list shows. */
  fields: readonly Field[]
  /** Row index for assistive technology; the header is row 1. */
  rowIndex: number
  /** The number that the row shows. */
  number: number
  offset: number
  size: number
  /** The row is checked. */
  isSelected: boolean
  range: RowRange | null
  active: Column | null
  editing: CellEdit | null
  highlight: Highlight | null
  editors: readonly Person[] | null
  /** `null` if there are none. */
  comments: readonly Comment[] | null
  canEdit: boolean
  now: number
  actions: RowActions
}

/** The row of a position. */
export const Row = memo(function Row({
  position,
  fields,
  rowIndex,
  number,
  offset,
  size,
  isSelected,
  range,
  active,
  editing,
  highlight,
  editors,
  comments,
  canEdit,
  now,
  actions,
}: Props) {
  const { id } = position
  const name = position.designation || "Untitled position"
  const tab = (column: Column) => (active === column ? 0 : -1)
  return (
    <div
      role="row"
      aria-rowindex={rowIndex}
      aria-selected={canEdit ? isSelected : undefined}
      className={isSelected ? "row selected" : "row"}
      data-row={id}
      style={{ transform: `translateY(${offset}px)`, blockSize: `${size}px` }}
    >
      <span
        role="gridcell"
        className={range && range.left === 0 && range.right === fields.length - 1 ? "cell cell-select head-selected" : "cell cell-select"}
        onPointerDown={(event) => {
          if (!(event.target instanceof HTMLInputElement) && event.pointerType !== "touch") actions.press(id, "select", event)
        }}
        // The checkbox is smaller than a finger.
        onPointerUp={(event) => {
          if (canEdit && !(event.target instanceof HTMLInputElement) && event.pointerType === "touch") actions.select(id, false)
        }}
      >
        <span className="row-number" aria-hidden>
          {number.toLocaleString()}
        </span>
        {canEdit && (
          <input
            type="checkbox"
            aria-label={`Select ${name}`}
            checked={isSelected}
            tabIndex={tab("select")}
            data-cell={`${id}/select`}
            onFocus={() => actions.enter(id, "select")}
            onChange={(event) => actions.select(id, (event.nativeEvent as unknown as { shiftKey?: boolean }).shiftKey === true)}
          />
        )}
      </span>
      {fields.map((field, at) => (
        <GridCell
          key={keyOf(field)}
          position={position}
          field={field}
          range={range && range.left <= at && at <= range.right ? range : null}
          at={at}
          isActive={active === keyOf(field)}
          editing={editing?.column === keyOf(field) ? editing : null}
          highlight={highlight && (highlight.fields === null || highlight.fields.has(keyOf(field))) ? highlight : null}
          editors={editors?.filter((person) => person.cell?.field === keyOf(field)) ?? null}
          comments={field === FIRST_FIELD ? comments : null}
          canEdit={canEdit && position.invalidEntry === undefined}
          actions={actions}
        />
      ))}
      <span
        role="gridcell"
        className="cell cell-updatedAt"
        tabIndex={tab("updatedAt")}
        data-cell={`${id}/updatedAt`}
        onFocus={() => actions.enter(id, "updatedAt")}
        title={position.updatedAt === null ? undefined : `${position.updatedBy}, ${formatDateTime(position.updatedAt)}`}
      >
        <span className="author">{position.updatedBy}</span> <span className="when">{formatRelativeTime(position.updatedAt, now)}</span>
      </span>
      <span role="gridcell" className="cell cell-actions">
        <button
          type="button"
          className="icon"
          aria-label={`History of ${name}`}
          tabIndex={tab("actions")}
          data-cell={`${id}/actions`}
          onFocus={() => actions.enter(id, "actions")}
          onClick={() => actions.history(id)}
        >
          <History aria-hidden />
        </button>
        {canEdit && (
          <button
            type="button"
            className="icon danger"
            aria-label={`Delete ${name}`}
            tabIndex={tab("actions")}
            onClick={() => actions.remove(id)}
          >
            <Trash2 aria-hidden />
          </button>
        )}
      </span>
    </div>
  )
})
