import { FilePenLine, History, Trash2, TriangleAlert } from "lucide-react"
import { memo, type PointerEvent } from "react"
import { type Approval, isChangedSinceApproval } from "../plan/approval"
import type { Comment } from "../plan/comments"
import { endsBeforeStart } from "../plan/cost"
import {
  FIELD_DEFINITIONS,
  FIELDS,
  type FieldKey,
  fieldLabel,
  fieldNoun,
  isAmountField,
  isChoiceField,
  isFieldKey,
  isGroupField,
  isHiddenOnPhones,
  isMonthField,
} from "../plan/fields"
import { displayValue, formatAmount, formatDateTime, formatRelativeTime } from "../plan/format"
import type { ParsedInput } from "../plan/input"

import { type FieldValue, type Position, shownValue } from "../plan/schema"
import type { Highlight } from "../sync/plan-store"
import type { Person } from "../sync/presence"
import { CellEditor, type NextCell } from "./CellEditor"
import { CommentMarker, describeUnresolved } from "./comments/CommentMarker"
import { personColour } from "./People"

/** Columns from left to right. */
export const COLUMNS: readonly Column[] = ["select", ...FIELDS, "updatedAt", "actions"]
/** The column that names the position. */
export const FIRST_FIELD: FieldKey = FIELD_DEFINITIONS[0].key
export type Column = FieldKey | "select" | "updatedAt" | "actions"
export const isFieldColumn = (column: Column): column is FieldKey => isFieldKey(column)

export interface CellEdit {
  column: FieldKey
  initialText: string | null
}

/** The selected cells of a row. One object is shared by all rows with the same cells, so that memoized rows do not render again. */
export interface RowRange {
  /** Indices into `FIELDS`, inclusive. */
  left: number
  right: number
  /** The row is the first or last one of the range. */
  isTop: boolean
  isBottom: boolean
  /** More than one cell is selected. */
  isMultiple: boolean
  /** The cells are about to be filled. */
  isFill: boolean
  /** The handle that fills is in the last cell. */
  hasHandle: boolean
}

/** Callbacks from a row to the grid. The object never changes. */
export interface RowActions {
  select(id: string, isRange: boolean): void
  enter(id: string, column: Column): void
  /** A mouse button was pressed on a cell, on the head of a row, or on the handle that fills. */
  press(id: string, column: Column, event: PointerEvent): void
  pressHandle(event: PointerEvent): void
  edit(id: string, column: FieldKey): void
  draft(text: string): void
  read(field: FieldKey, text: string): ParsedInput
  commit(id: string, field: FieldKey, value: FieldValue, next: NextCell): void
  leave(id: string, field: FieldKey, next: NextCell): void
  cancel(id: string, field: FieldKey): void
  conflict(id: string, field: FieldKey): void
  comments(id: string): void
  history(id: string): void
  remove(id: string): void
}

interface Props {
  position: Position
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

export const Row = memo(function Row({
  position,
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
        className={range && range.left === 0 && range.right === FIELDS.length - 1 ? "cell cell-select head-selected" : "cell cell-select"}
        onPointerDown={(event) => {
          if (!(event.target instanceof HTMLInputElement)) actions.press(id, "select", event)
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
      {FIELDS.map((field, at) => (
        <GridCell
          key={field}
          position={position}
          field={field}
          range={range && range.left <= at && at <= range.right ? range : null}
          at={at}
          isActive={active === field}
          editing={editing?.column === field ? editing : null}
          highlight={highlight && (highlight.fields === null || highlight.fields.has(field)) ? highlight : null}
          editors={editors?.filter((person) => person.cell?.field === field) ?? null}
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

/** Why a value is marked; `null` if it is valid. */
function describeMistyped(position: Position, field: FieldKey): string | null {
  const { mistyped, invalidEntry } = position
  if (invalidEntry !== undefined) return field === FIRST_FIELD ? "not a position, can only be deleted" : null
  if (field === "end" && endsBeforeStart(position)) return "ends before it starts, costs nothing"
  if (mistyped?.[field] === undefined) return null
  if (isAmountField(field)) return "not a number, not included in totals"
  if (isChoiceField(field)) return `not a ${fieldNoun(field)}, counted as none`
  return isMonthField(field) ? "not a month, counted as none" : "not a text"
}

/** An approval in a few words: `12 approved by CEO, 3 Jun 2027`. */
const describeApproval = ({ budget, by, at }: Approval): string =>
  `${budget === null ? "an unknown budget" : formatAmount(budget)} approved by ${by || "an unknown author"}${at === null ? "" : `, ${formatDateTime(at)}`}`

/** CSS classes of the cells of a column. */
export const fieldClasses = (field: FieldKey): string =>
  `${isAmountField(field) ? " cell-amount" : ""}${isHiddenOnPhones(field) ? " not-on-phones" : ""}`

interface GridCellProps {
  position: Position
  field: FieldKey
  /** Index of the column into `FIELDS`. */
  at: number
  /** `null` if the cell is not selected. */
  range: RowRange | null
  isActive: boolean
  editing: CellEdit | null
  highlight: Highlight | null
  editors: readonly Person[] | null
  /** Comments of the position, in the cell that names it. */
  comments: readonly Comment[] | null
  canEdit: boolean
  actions: RowActions
}

/** CSS classes of a selected cell: its place in the range decides its borders. */
function rangeClasses({ left, right, isTop, isBottom, isMultiple, isFill }: RowRange, at: number): string {
  if (!isMultiple) return ""
  const edges = [at === left && "start", at === right && "end", isTop && "top", isBottom && "bottom"].filter(Boolean)
  return [isFill ? " fill-target" : " in-range", ...edges.map((edge) => `range-${edge}`)].join(" ")
}

function GridCell({ position, field, at, range, isActive, editing, highlight, editors, comments, canEdit, actions }: GridCellProps) {
  const { id } = position
  const conflict = position.conflicts?.[field]
  const person = editors?.[0]
  const value = shownValue(position, field)
  const text = displayValue(field, value)
  const note = describeMistyped(position, field)
  const unresolved = describeUnresolved(comments)
  const approval = position.approval && isChangedSinceApproval(position) && field === "budget" ? position.approval : null
  // Touch opens the editor at once; the mouse selects cells, and a double click opens the editor.
  const onPointerUp = (event: PointerEvent) => {
    if (canEdit && !editing && event.pointerType === "touch") actions.edit(id, field)
  }
  return (
    <span
      role="gridcell"
      className={`cell cell-${field}${fieldClasses(field)}${conflict ? " in-conflict" : ""}${note ? " mistyped" : ""}${person ? ` occupied ${personColour(person.name)}` : ""}${range ? rangeClasses(range, at) : ""}`}
      aria-selected={range !== null && !range.isFill}
      aria-readonly={!canEdit}
      aria-label={
        editing
          ? undefined
          : `${fieldLabel(field)}: ${text || "empty"}${note ? `, ${note}` : ""}${conflict ? ", conflicting values" : ""}${approval ? ", changed since approval" : ""}${unresolved ? `, ${unresolved}` : ""}`
      }
      title={note ?? (field === "status" && position.approval ? describeApproval(position.approval) : undefined)}
      tabIndex={isActive && !editing ? 0 : -1}
      data-cell={`${id}/${field}`}
      onFocus={(event) => {
        if (event.target === event.currentTarget) actions.enter(id, field)
      }}
      onPointerDown={(event) => {
        if (!editing) actions.press(id, field, event)
      }}
      onPointerUp={onPointerUp}
      onDoubleClick={() => {
        if (canEdit && !editing) actions.edit(id, field)
      }}
    >
      {editing ? (
        <CellEditor
          field={field}
          label={`${fieldLabel(field)} of ${position.designation}`}
          value={value}
          initialText={editing.initialText}
          suggestions={isGroupField(field) && !isChoiceField(field) ? `all-${field}` : null}
          read={(text) => actions.read(field, text)}
          onDraft={actions.draft}
          onCommit={(value, next) => actions.commit(id, field, value, next)}
          onLeave={(next) => actions.leave(id, field, next)}
          onCancel={() => actions.cancel(id, field)}
        />
      ) : (
        <span className="value" data-label={fieldLabel(field)}>
          {isChoiceField(field) && text !== "" && !note && <span className={`status-dot status-${value}`} aria-hidden />}
          {text}
          {position.invalidEntry !== undefined && field === FIRST_FIELD && <span className="tag mistyped-tag">not a position</span>}
        </span>
      )}
      {conflict && !editing && (
        <button
          type="button"
          className="conflict"
          aria-label={`${fieldLabel(field)} of ${position.designation}: ${conflict.losing.length + 1} conflicting values`}
          tabIndex={isActive ? 0 : -1}
          onPointerDown={(event) => event.stopPropagation()}
          onPointerUp={(event) => event.stopPropagation()}
          onDoubleClick={(event) => event.stopPropagation()}
          onClick={() => actions.conflict(id, field)}
        >
          <TriangleAlert aria-hidden />
        </button>
      )}
      {approval && !editing && (
        <button
          type="button"
          className="changed-since"
          aria-label={`Budget of ${position.designation} changed since approval: ${describeApproval(approval)}`}
          title={describeApproval(approval)}
          tabIndex={isActive ? 0 : -1}
          onPointerDown={(event) => event.stopPropagation()}
          onPointerUp={(event) => event.stopPropagation()}
          onDoubleClick={(event) => event.stopPropagation()}
          onClick={() => actions.history(id)}
        >
          <FilePenLine aria-hidden />
        </button>
      )}
      {field === FIRST_FIELD && !editing && (canEdit || comments) && (
        <CommentMarker
          name={position.designation || "Untitled position"}
          comments={comments}
          isActive={isActive}
          onOpen={() => actions.comments(id)}
        />
      )}
      {person && <span className={`flag ${personColour(person.name)}`}>{person.name}</span>}
      {highlight && <span className="highlight" key={highlight.at} aria-hidden />}
      {range?.hasHandle && range.isBottom && at === range.right && !editing && (
        <span
          className="fill-handle"
          aria-hidden
          onPointerDown={(event) => actions.pressHandle(event)}
          onDoubleClick={(event) => event.stopPropagation()}
        />
      )}
    </span>
  )
}
