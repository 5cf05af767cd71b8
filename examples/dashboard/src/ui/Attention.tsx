import { TriangleAlert, Undo2 } from "lucide-react"
import { useState } from "react"
import type { Swallowed } from "../history/ledger"
import { moment } from "../plan/money"
import { FIELDS, type Field, type Position } from "../plan/schema"
import { LABELS } from "../plan/table"
import { show } from "./ConflictDialog"

/** An edit that a deletion swallowed, and the position, if it is there again. */
export interface SwallowedHere {
  edit: Swallowed
  position: Position | null
}

interface Props {
  positions: readonly Position[]
  swallowed: readonly SwallowedHere[]
  canEdit: boolean
  onConflict: (id: string, field: Field) => void
  onRestore: (swallowed: Swallowed) => void
  onDismiss: (swallowed: Swallowed) => void
}

const SHOWN = 4

/** What people did at the same time, and should look at: nothing of it is decided behind their backs. */
export function Attention({ positions, swallowed, canEdit, onConflict, onRestore, onDismiss }: Props) {
  const [isAll, setAll] = useState(false)
  const conflicts = positions.flatMap((position) =>
    position.conflicts ? FIELDS.filter((field) => position.conflicts?.[field]).map((field) => ({ position, field })) : [],
  )
  const count = conflicts.length + swallowed.length
  if (count === 0) return null
  const room = isAll ? count : SHOWN
  return (
    <section className="card attention" aria-label="Changes to look at">
      <h2>
        <TriangleAlert aria-hidden />
        <span role="status">
          {count} {count === 1 ? "thing" : "things"} to look at
        </span>
      </h2>
      <ul>
        {conflicts.slice(0, room).map(({ position, field }) => (
          <li key={`${position.id}/${field}`}>
            <span>
              <strong>{position.designation}</strong>: {LABELS[field].toLowerCase()} was set by several people at once.
            </span>
            <button type="button" onClick={() => onConflict(position.id, field)}>
              Compare
              <span className="hidden">
                {" "}
                the values of {LABELS[field]} of {position.designation}
              </span>
            </button>
          </li>
        ))}
        {swallowed.slice(0, Math.max(0, room - conflicts.length)).map(({ edit, position }) => (
          <li key={edit.key}>
            <span>
              <strong>{edit.row.designation}</strong>: {edit.who} set {LABELS[edit.field].toLowerCase()} to {show(edit.value)}
              {edit.time !== null && ` (${moment(edit.time)})`} while {edit.deletedBy} deleted the position.
              {position && ` It is there again, with ${show(position[edit.field])}.`}
            </span>
            {canEdit && (
              <span className="row-buttons">
                <button type="button" onClick={() => onRestore(edit)}>
                  {position ? (
                    <>
                      Take {show(edit.value)}
                      <span className="hidden">
                        {" "}
                        as {LABELS[edit.field]} of {edit.row.designation}
                      </span>
                    </>
                  ) : (
                    <>
                      <Undo2 aria-hidden /> Restore<span className="hidden"> {edit.row.designation}</span>
                    </>
                  )}
                </button>
                <button
                  type="button"
                  aria-label={`${position ? "Leave it" : "Leave deleted"}: ${edit.row.designation}`}
                  onClick={() => onDismiss(edit)}
                >
                  {position ? "Leave it" : "Leave deleted"}
                </button>
              </span>
            )}
          </li>
        ))}
      </ul>
      {count > SHOWN && (
        <button type="button" className="link" onClick={() => setAll(!isAll)}>
          {isAll ? "Show fewer" : `Show all ${count}`}
        </button>
      )}
    </section>
  )
}
