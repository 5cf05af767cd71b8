import { useEffect, useState } from "react"
import type { Maker } from "../history/protocol"
import { amount, moment } from "../plan/money"
import type { Field, FieldValue, Position } from "../plan/schema"
import { LABELS } from "../plan/table"
import type { PlanStore } from "../sync/store"
import { Dialog } from "./Dialog"

interface Props {
  store: PlanStore
  position: Position
  field: Field
  onSettle: ((value: FieldValue) => void) | null
  onClose: () => void
}

export const show = (value: FieldValue): string => (typeof value === "number" ? amount(value) : value || "(empty)")

/** What several people have set at once: both values, who and when, and one press puts an end to it. */
export function ConflictDialog({ store, position, field, onSettle, onClose }: Props) {
  const conflict = position.conflicts?.[field]
  const [makers, setMakers] = useState<(Maker | null)[] | null>(null)
  useEffect(() => {
    if (!conflict) return
    let isCurrent = true
    const operations = [conflict.winner, ...conflict.losing.map((losing) => losing.operation)]
    store.history?.ask("makers", { operations }).then(
      (found) => isCurrent && setMakers(found),
      () => isCurrent && setMakers([]),
    )
    return () => {
      isCurrent = false
    }
  }, [conflict, store])

  // Somebody else may have settled it meanwhile.
  const values = conflict
    ? [{ value: position[field] as FieldValue, isShown: true }, ...conflict.losing.map(({ value }) => ({ value, isShown: false }))]
    : [{ value: position[field] as FieldValue, isShown: true }]
  return (
    <Dialog title={`${LABELS[field]} of ${position.designation}`} onClose={onClose}>
      {conflict ? (
        <p>
          Several people have set this at the same time. Nothing is lost: choose what it shall be. Everybody sees the first one until then.
        </p>
      ) : (
        <p>This is settled.</p>
      )}
      <ul className="choices">
        {values.map(({ value, isShown }, at) => {
          const maker = makers?.[at]
          return (
            // biome-ignore lint/suspicious/noArrayIndexKey: the values have no names of their own
            <li key={at} className="choice">
              <div>
                <strong className="choice-value">{show(value)}</strong>
                {isShown && <span className="tag">shown now</span>}
                <p className="fine">
                  {makers === null && conflict
                    ? "Looking up who it was…"
                    : maker
                      ? `${maker.who}${maker.time === null ? "" : `, ${moment(maker.time)}`}`
                      : conflict
                        ? "Who it was is not known"
                        : position.updatedBy}
                </p>
              </div>
              {conflict && onSettle && (
                <button
                  type="button"
                  className={isShown ? "" : "primary"}
                  aria-label={`${isShown ? "Keep" : "Take"} this: ${show(value)}`}
                  onClick={() => {
                    onSettle(value)
                    onClose()
                  }}
                >
                  {isShown ? "Keep this" : "Take this"}
                </button>
              )}
            </li>
          )
        })}
      </ul>
      {conflict && !onSettle && <p className="fine">You may look at this plan, but not change it.</p>}
    </Dialog>
  )
}
