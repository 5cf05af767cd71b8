/** Edits of one field, with what the page says of them and the way back. */
import { putBack, readField, type Seen, set, settle } from "../plan/edit"
import type { Register } from "../plan/register"
import { type Field, type FieldValue, isSameField, shownValue } from "../plan/schema"
import { LABELS } from "../plan/table"
import type { PlanStore } from "../sync/store"
import { show } from "./ConflictDialog"
import type { Note } from "./Toast"

export const BOTH_KEPT = "Somebody else has set this at the same time: both values are kept, to choose from."

type Say = (text: string, action?: Note["action"]) => void

export function fieldEdits(store: PlanStore, who: string, say: Say) {
  const { plan } = store
  /** What a field holds after an edit that met another one. */
  const sayContested = (id: string, field: Field) => {
    const now = store.look(id)?.position
    if (now)
      say(
        now.conflicts?.[field] ? BOTH_KEPT : `Somebody else has changed this at the same time. It is ${show(shownValue(now, field))} now.`,
      )
  }
  /** Says that a field was changed, and offers to bring back what stood there: all values, if there was a conflict. */
  const sayChanged = (text: string, id: string, field: Field, before: Register) => {
    const written = store.look(id)
    if (!written) return
    const undo = () => {
      const now = store.look(id)
      if (!now) return say(`“${written.position.designation}” is deleted: there is nothing to undo.`)
      const isOurs = isSameField(written.position, now.position, field)
      putBack(plan, id, field, before, who, isOurs ? null : written)
      if (!isOurs) sayContested(id, field)
    }
    say(text, { label: "Undo", run: undo })
  }
  const onSet = (id: string, field: Field, value: FieldValue, seen: Seen | null) => {
    const name = store.get(id)?.designation
    const before = readField(plan, id, field)
    set(plan, id, field, value, who, seen)
    if (seen && !store.get(id)) say(`Somebody has deleted “${seen.position.designation}”: what you set is kept, to be restored.`)
    else if (seen) sayContested(id, field)
    else if (name !== undefined) sayChanged(`${LABELS[field]} of “${name}” changed.`, id, field, before)
  }
  const onSettle = (id: string, field: Field, operation: string) => {
    const name = store.get(id)?.designation
    const before = readField(plan, id, field)
    settle(plan, id, field, operation, who)
    sayChanged(`${LABELS[field]} of “${name}” settled.`, id, field, before)
  }
  return { onSet, onSettle }
}
