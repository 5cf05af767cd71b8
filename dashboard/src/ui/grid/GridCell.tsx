import { FilePenLine, TriangleAlert } from "lucide-react"
import type { PointerEvent } from "react"
import { type Approval, isChangedSinceApproval } from "../../plan/approval"
import type { Comment } from "../../plan/comments"
import { endsBeforeStart } from "../../plan/cost"
import { type Field, fieldLabel, fieldNoun, isChoiceField, isGroupField, isOwnColumn, keyOf, kindOf } from "../../plan/fields"
import { displayValue, formatAmount, formatDateTime } from "../../plan/format"
import { type Position, shownValue } from "../../plan/schema"
import type { Highlight } from "../../sync/plan-store"
import type { Person } from "../../sync/presence"
import { CommentMarker, describeUnresolved } from "../comments/CommentMarker"
import { personColour } from "../People"
import { CellEditor } from "./CellEditor"
import { FIRST_FIELD, fieldClasses } from "./columns"
import type { CellEdit, RowActions, RowRange } from "./row-actions"

/** Why a value is marked; `null` if it is valid. */
function describeMistyped(position: Position, field: Field): string | null {
  const { mistyped, invalidEntry } = position
  if (invalidEntry !== undefined) return field === FIRST_FIELD ? "not a position, can only be deleted" : null
  if (field === "end" && endsBeforeStart(position)) return "ends before it starts, costs nothing"
  if (mistyped?.[keyOf(field)] === undefined) return null
  switch (kindOf(field)) {
    case "amount":
      return "not a number, not included in totals"
    case "choice":
      return isOwnColumn(field) ? "not an option of this column" : `not a ${fieldNoun(field)}, counted as none`
    case "month":
      return "not a month, counted as none"
    case "number":
      return "not a number"
    case "date":
      return "not a date"
    default:
      return "not a text"
  }
}

/** An approval in a few words: `12 approved by CEO, 3 Jun 2027`. */
const describeApproval = ({ budget, by, at }: Approval): string =>
  `${budget === null ? "an unknown budget" : formatAmount(budget)} approved by ${by || "an unknown author"}${at === null ? "" : `, ${formatDateTime(at)}`}`

interface Props {
  position: Position
  field: Field
  /** Index of the column among those that the list shows. */
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

/** A cell of a field: its value or editor, with markers and the handle that fills. */
export function GridCell({ position, field, at, range, isActive, editing, highlight, editors, comments, actions, ...rest }: Props) {
  const { id } = position
  const key = keyOf(field)
  const canEdit = rest.canEdit && kindOf(field) !== "unknown"
  const conflict = position.conflicts?.[key]
  const person = editors?.[0]
  const value = shownValue(position, key)
  const text = displayValue(field, value)
  const note = describeMistyped(position, field)
  const unresolved = describeUnresolved(comments)
  const approval = position.approval && isChangedSinceApproval(position) && field === "budget" ? position.approval : null
  // Touch opens the editor at once; the mouse selects cells, and a double click opens the editor.
  const onPointerUp = (event: PointerEvent) => {
    if (canEdit && !editing && event.pointerType === "touch") actions.edit(id, key)
  }
  return (
    <span
      role="gridcell"
      className={`${fieldClasses(field)}${conflict ? " in-conflict" : ""}${note ? " mistyped" : ""}${person ? ` occupied ${personColour(person.name)}` : ""}${range ? rangeClasses(range, at) : ""}`}
      aria-selected={range !== null && !range.isFill}
      aria-readonly={!canEdit}
      aria-label={
        editing
          ? undefined
          : `${fieldLabel(field)}: ${text || "empty"}${note ? `, ${note}` : ""}${conflict ? ", conflicting values" : ""}${approval ? ", changed since approval" : ""}${unresolved ? `, ${unresolved}` : ""}`
      }
      title={note ?? (field === "status" && position.approval ? describeApproval(position.approval) : undefined)}
      tabIndex={isActive && !editing ? 0 : -1}
      data-cell={`${id}/${key}`}
      data-column={key}
      onFocus={(event) => {
        if (event.target === event.currentTarget) actions.enter(id, key)
      }}
      onPointerDown={(event) => {
        if (!editing) actions.press(id, key, event)
      }}
      onPointerUp={onPointerUp}
      onDoubleClick={() => {
        if (canEdit && !editing) actions.edit(id, key)
      }}
    >
      {editing ? (
        <CellEditor
          field={field}
          label={`${fieldLabel(field)} of ${position.designation}`}
          value={value}
          initialText={editing.initialText}
          suggestions={isGroupField(field) && !isChoiceField(field) ? `all-${key}` : null}
          read={(text) => actions.read(field, text)}
          onDraft={actions.draft}
          onCommit={(value, next) => actions.commit(id, key, value, next)}
          onLeave={(next) => actions.leave(id, key, next)}
          onCancel={() => actions.cancel(id, key)}
        />
      ) : (
        <span className="value" data-label={fieldLabel(field)}>
          {field === "status" && text !== "" && !note && <span className={`status-dot status-${value}`} aria-hidden />}
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
          onClick={() => actions.conflict(id, key)}
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
