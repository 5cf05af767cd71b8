import { TriangleAlert, Undo2 } from "lucide-react"
import { useState } from "react"
import type { Swallowed } from "../history/ledger"
import { moment } from "../plan/money"
import { FIELDS, type Field, type FieldValue, type Position, SETTINGS, type Setting, type SettingConflicts } from "../plan/schema"
import { LABELS, SETTING_LABELS } from "../plan/table"
import { show } from "./ConflictDialog"

/** An edit that a deletion swallowed, and the position, if it is there again. */
export interface SwallowedHere {
  edit: Swallowed
  position: Position | null
}

interface Props {
  positions: readonly Position[]
  settings: SettingConflicts | null
  swallowed: readonly SwallowedHere[]
  canEdit: boolean
  onConflict: (id: string, field: Field) => void
  onSetting: (key: Setting) => void
  onRestore: (swallowed: Swallowed) => void
  onDismiss: (swallowed: Swallowed) => void
}

const SHOWN = 4

/** What people did at the same time, and should look at: nothing of it is decided behind their backs. */
export function Attention({ positions, settings, swallowed, canEdit, onConflict, onSetting, onRestore, onDismiss }: Props) {
  const [isAll, setAll] = useState(false)
  const items = [
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

interface SwallowedProps {
  here: SwallowedHere
  canEdit: boolean
  onRestore: () => void
  onDismiss: () => void
}

function SwallowedItem({ here: { edit, position }, canEdit, onRestore, onDismiss }: SwallowedProps) {
  const { row, field, value } = edit
  const leave = position ? "Leave it" : "Leave deleted"
  return (
    <li>
      <span>
        <strong>{row.designation}</strong>: {edit.who} set {LABELS[field].toLowerCase()} to {show(value)}
        {edit.time !== null && ` (${moment(edit.time)})`} while {edit.deletedBy} deleted the position.
        {position && ` It is there again, with ${show(position[field])}.`}
      </span>
      {canEdit && (
        <span className="row-buttons">
          <BringBack isThere={position !== null} field={field} value={value} name={row.designation} onClick={onRestore} />
          <button type="button" aria-label={`${leave}: ${row.designation}`} onClick={onDismiss}>
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
  field: Field
  value: FieldValue
  name: string
  onClick: () => void
}

function BringBack({ isThere, field, value, name, onClick }: BringBackProps) {
  return (
    <button type="button" onClick={onClick}>
      {isThere ? (
        <>
          Take {show(value)}
          <span className="hidden">
            {" "}
            as {LABELS[field]} of {name}
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
