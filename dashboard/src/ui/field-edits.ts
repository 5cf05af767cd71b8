/** Edits of one field, with a message and an undo action. */

import { type PositionAtHeads, readFieldRegister, resolveConflict, revertField, setField } from "../plan/edit"
import { type FieldKey, fieldLabel, fieldNoun } from "../plan/fields"
import { formatValue } from "../plan/format"
import type { Register } from "../plan/multi-value-register"

import { type FieldValue, isEqualField, shownValue } from "../plan/schema"
import type { PlanStore } from "../sync/plan-store"
import type { ToastMessage } from "./Toast"

export const BOTH_KEPT = "Somebody else changed this at the same time. Both values are kept; choose one."

type ShowToast = (text: string, action?: ToastMessage["action"]) => void

export function fieldEdits(store: PlanStore, author: string, showToast: ShowToast) {
  const { plan } = store
  /** Reports the value of a field after concurrent edits. */
  const showConflict = (id: string, field: FieldKey) => {
    const now = store.readPosition(id)?.position
    if (now)
      showToast(
        now.conflicts?.[field]
          ? BOTH_KEPT
          : `Somebody else changed this at the same time. It is now ${formatValue(shownValue(now, field))}.`,
      )
  }
  /** Reports an edit and offers to undo it, conflicts included. */
  const showChanged = (text: string, id: string, field: FieldKey, before: Register) => {
    const written = store.readPosition(id)
    if (!written) return
    const undo = () => {
      const now = store.readPosition(id)
      if (!now) return showToast(`“${written.position.designation}” was deleted. There is nothing to undo.`)
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
    if (base && !store.get(id)) showToast(`Somebody deleted “${base.position.designation}”. Your edit is kept for review.`)
    else if (base) showConflict(id, field)
    else if (name !== undefined) showChanged(`${fieldLabel(field)} of “${name}” changed.`, id, field, before)
  }
  const onResolve = (id: string, field: FieldKey, operation: string) => {
    const name = store.get(id)?.designation
    const before = readFieldRegister(plan, id, field)
    resolveConflict(plan, id, field, operation, author)
    showChanged(`Conflict in ${fieldNoun(field)} of “${name}” resolved.`, id, field, before)
  }
  return { onSet, onResolve }
}
