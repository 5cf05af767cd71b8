/** Edits of one field, with what the page says of them and the way back. */

import { type PositionAtHeads, readFieldRegister, resolveConflict, revertField, setField } from "../plan/edit"
import { type FieldKey, fieldLabel } from "../plan/fields"
import type { Register } from "../plan/multi-value-register"

import { type FieldValue, isEqualField, shownValue } from "../plan/schema"
import type { PlanStore } from "../sync/plan-store"
import { formatValue } from "./ConflictDialog"
import type { ToastMessage } from "./Toast"

export const BOTH_KEPT = "Somebody else has set this at the same time: both values are kept, to choose from."

type Say = (text: string, action?: ToastMessage["action"]) => void

export function fieldEdits(store: PlanStore, author: string, showToast: Say) {
  const { plan } = store
  /** What a field holds after an edit that met another one. */
  const showConflict = (id: string, field: FieldKey) => {
    const now = store.readPosition(id)?.position
    if (now)
      showToast(
        now.conflicts?.[field]
          ? BOTH_KEPT
          : `Somebody else has changed this at the same time. It is ${formatValue(shownValue(now, field))} now.`,
      )
  }
  /** Says that a field was changed, and offers to bring back what stood there: all values, if there was a conflict. */
  const showChanged = (text: string, id: string, field: FieldKey, before: Register) => {
    const written = store.readPosition(id)
    if (!written) return
    const undo = () => {
      const now = store.readPosition(id)
      if (!now) return showToast(`“${written.position.designation}” is deleted: there is nothing to undo.`)
      const isLatest = isEqualField(written.position, now.position, field)
      revertField(plan, id, field, before, author, isLatest ? null : written)
      if (!isLatest) showConflict(id, field)
    }
    showToast(text, { label: "Undo", run: undo })
  }
  const onSet = (id: string, field: FieldKey, value: FieldValue, base: PositionAtHeads | null) => {
    const name = store.get(id)?.designation
    const before = readFieldRegister(plan, id, field)
    setField(plan, id, field, value, author, base)
    if (base && !store.get(id)) showToast(`Somebody has deleted “${base.position.designation}”: what you set is kept, to be restored.`)
    else if (base) showConflict(id, field)
    else if (name !== undefined) showChanged(`${fieldLabel(field)} of “${name}” changed.`, id, field, before)
  }
  const onResolve = (id: string, field: FieldKey, operation: string) => {
    const name = store.get(id)?.designation
    const before = readFieldRegister(plan, id, field)
    resolveConflict(plan, id, field, operation, author)
    showChanged(`${fieldLabel(field)} of “${name}” settled.`, id, field, before)
  }
  return { onSet, onResolve }
}
