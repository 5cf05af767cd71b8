import { TriangleAlert, Undo2 } from "lucide-react"
import { useState } from "react"
import type { Swallowed } from "../history/deeds"
import { moment } from "../plan/money"
import { FIELDS, type Field, type Position, SETTINGS, type Setting, type SettingConflicts, shownValue } from "../plan/schema"
import { isField, LABELS, labelOf, SETTING_LABELS } from "../plan/table"
import type { Lost } from "../sync/lost"
import type { Input } from "./CellEditor"
import { show } from "./ConflictDialog"

/** An edit that a deletion swallowed, and the position, if it is there again. */
export interface SwallowedHere {
  edit: Swallowed
  position: Position | null
}

/** What somebody was typing when the position went, and the position, if it is there again. */
export interface LostHere {
  lost: Lost
  /** What was typed, as far as it can be taken. */
  input: Input
  position: Position | null
}

interface Props {
  positions: readonly Position[]
  settings: SettingConflicts | null
  lost: readonly LostHere[]
  swallowed: readonly SwallowedHere[]
  /** Rows of other maps of positions. */
  hidden: number
  historyProblem: string | null
  canEdit: boolean
  onConflict: (id: string, field: Field) => void
  onSetting: (key: Setting) => void
  onRestore: (swallowed: Swallowed) => void
  onDismiss: (swallowed: Swallowed) => void
  onTakeLost: (lost: LostHere) => void
  onDropLost: (lost: Lost) => void
  onShowHidden: () => void
}

const SHOWN = 4

/** What people did at the same time, and should look at: nothing of it is decided behind their backs. */
export function Attention({ positions, settings, lost, swallowed, hidden, historyProblem, canEdit, ...does }: Props) {
  const { onConflict, onSetting, onRestore, onDismiss, onTakeLost, onDropLost, onShowHidden } = does
  const [isAll, setAll] = useState(false)
  const items = [
    ...lost.map((here) => (
      <LostItem key={here.lost.key} here={here} canEdit={canEdit} onTake={() => onTakeLost(here)} onDismiss={() => onDropLost(here.lost)} />
    )),
    ...SETTINGS.filter((key) => settings?.[key]).map((key) => <SettingItem key={key} setting={key} onCompare={() => onSetting(key)} />),
    ...positions.flatMap((position) =>
      FIELDS.filter((field) => position.conflicts?.[field]).map((field) => (
        <ConflictItem key={`${position.id}/${field}`} position={position} field={field} onCompare={() => onConflict(position.id, field)} />
      )),
    ),
    ...swallowed.map((here) => (
      <SwallowedItem
        key={here.edit.key}
        here={here}
        canEdit={canEdit}
        onRestore={() => onRestore(here.edit)}
        onDismiss={() => onDismiss(here.edit)}
      />
    )),
    ...(hidden > 0 ? [<HiddenItem key="hidden" count={hidden} onShow={canEdit ? onShowHidden : null} />] : []),
    ...(historyProblem
      ? [<li key="history">The history could not be read, so edits that a deletion has swallowed are not listed: {historyProblem}</li>]
      : []),
  ]
  const count = items.length
  if (count === 0) return null
  return (
    <section className="card attention" aria-label="Changes to look at">
      <h2>
        <TriangleAlert aria-hidden />
        <span role="status">
          {count} {count === 1 ? "thing" : "things"} to look at
        </span>
      </h2>
      <ul>{isAll ? items : items.slice(0, SHOWN)}</ul>
      {count > SHOWN && (
        <button type="button" className="link" onClick={() => setAll(!isAll)}>
          {isAll ? "Show fewer" : `Show all ${count}`}
        </button>
      )}
    </section>
  )
}

function HiddenItem({ count, onShow }: { count: number; onShow: (() => void) | null }) {
  return (
    <li>
      <span>
        Two lists of positions were created at the same time. {count} {count === 1 ? "position" : "positions"} of the other list{" "}
        {count === 1 ? "is" : "are"} not shown.
      </span>
      {onShow && (
        <button type="button" onClick={onShow}>
          Add to this list
        </button>
      )}
    </li>
  )
}

function SettingItem({ setting, onCompare }: { setting: Setting; onCompare: () => void }) {
  const label = SETTING_LABELS[setting]
  return (
    <li>
      <span>
        <strong>The plan</strong>: {label.toLowerCase()} was set by several people at once.
      </span>
      <button type="button" onClick={onCompare}>
        Compare<span className="hidden"> the values of {label} of the plan</span>
      </button>
    </li>
  )
}

function ConflictItem({ position, field, onCompare }: { position: Position; field: Field; onCompare: () => void }) {
  return (
    <li>
      <span>
        <strong>{position.designation}</strong>: {LABELS[field].toLowerCase()} was set by several people at once.
      </span>
      <button type="button" onClick={onCompare}>
        Compare
        <span className="hidden">
          {" "}
          the values of {LABELS[field]} of {position.designation}
        </span>
      </button>
    </li>
  )
}

interface LostProps {
  here: LostHere
  canEdit: boolean
  onTake: () => void
  onDismiss: () => void
}

function LostItem({ here: { lost, input, position }, canEdit, onTake, onDismiss }: LostProps) {
  const { name, field, text } = lost
  return (
    <li>
      <span>
        <strong>{name}</strong>: somebody deleted the position while you were typing “{text}” as its {LABELS[field].toLowerCase()}.
        {position && ` It is there again, with ${show(shownValue(position, field))}.`}
      </span>
      <span className="row-buttons">
        {canEdit && (position === null || "value" in input) && (
          <BringBack
            isThere={position !== null}
            field={field}
            value={"value" in input ? show(input.value) : ""}
            name={name}
            onClick={onTake}
          />
        )}
        <button type="button" aria-label={`Dismiss what you typed: ${name}`} onClick={onDismiss}>
          Dismiss
        </button>
      </span>
    </li>
  )
}

interface SwallowedProps {
  here: SwallowedHere
  canEdit: boolean
  onRestore: () => void
  onDismiss: () => void
}

function SwallowedItem({ here: { edit, position }, canEdit, onRestore, onDismiss }: SwallowedProps) {
  const { name, field, value, nested } = edit
  const label = labelOf(field)
  const leave = position ? "Leave it" : "Leave deleted"
  return (
    <li>
      <span>
        <strong>{name}</strong>: {edit.who}{" "}
        {nested ? `changed ${label}` : `set ${isField(field) ? label.toLowerCase() : label} to ${show(value)}`}
        {edit.time !== null && ` (${moment(edit.time)})`} while {edit.deletedBy} deleted the position.
        {position && ` It is there again${isField(field) ? `, with ${show(shownValue(position, field))}` : ""}.`}
      </span>
      {canEdit && (
        <span className="row-buttons">
          <BringBack isThere={position !== null} field={field} value={nested ? "it" : show(value)} name={name} onClick={onRestore} />
          <button type="button" aria-label={`${leave}: ${name}`} onClick={onDismiss}>
            {leave}
          </button>
        </span>
      )}
    </li>
  )
}

interface BringBackProps {
  /** The position is there again, and only wants the value. */
  isThere: boolean
  field: string
  value: string
  name: string
  onClick: () => void
}

function BringBack({ isThere, field, value, name, onClick }: BringBackProps) {
  return (
    <button type="button" onClick={onClick}>
      {isThere ? (
        <>
          Take {value}
          <span className="hidden">
            {" "}
            as {labelOf(field)} of {name}
          </span>
        </>
      ) : (
        <>
          <Undo2 aria-hidden /> Restore<span className="hidden"> {name}</span>
        </>
      )}
    </button>
  )
}
