import { useEffect, useState } from "react"
import type { ChangeAttribution } from "../history/protocol"
import { formatAmount, formatDateTime } from "../plan/format"
import type { Conflict, FieldValue } from "../plan/schema"
import type { PlanStore } from "../sync/plan-store"
import { Dialog } from "./Dialog"

interface Props {
  store: PlanStore
  title: string
  /** What is shown now, and who has set it as far as is known. */
  value: FieldValue
  setBy: string
  /** null: it is settled. */
  conflict: Conflict | null
  format?: (value: FieldValue) => string
  /** Gets the operation that wrote the chosen value. */
  onResolve: ((operation: string) => void) | null
  onClose: () => void
}

export const formatValue = (value: FieldValue): string => (typeof value === "number" ? formatAmount(value) : value || "(empty)")

/** What several people have set at once: all values, who and when, and one press puts an end to it. */
export function ConflictDialog({ store, title, value: current, setBy, conflict, format = formatValue, onResolve, onClose }: Props) {
  const [authors, setAuthors] = useState<(ChangeAttribution | null)[] | null>(null)
  useEffect(() => {
    if (!conflict) return
    let isCurrent = true
    const operations = [conflict.winner, ...conflict.losing.map((losing) => losing.operation)]
    store.history?.request("authors", { operations }).then(
      (found) => isCurrent && setAuthors(found),
      () => isCurrent && setAuthors([]),
    )
    return () => {
      isCurrent = false
    }
  }, [conflict, store])

  // Somebody else may have settled it meanwhile.
  const shown = { value: current, operation: conflict?.winner ?? "", isShown: true }
  const values = [shown, ...(conflict?.losing.map((losing) => ({ ...losing, isShown: false })) ?? [])]
  return (
    <Dialog title={title} onClose={onClose}>
      {conflict ? (
        <p>
          Several people have set this at the same time. Nothing is lost: choose what it shall be. Everybody sees the first one until then.
        </p>
      ) : (
        <p>This is settled.</p>
      )}
      <ul className="choices">
        {values.map(({ value, operation, isShown }, at) => {
          const author = authors?.[at]
          return (
            // biome-ignore lint/suspicious/noArrayIndexKey: the values have no names of their own
            <li key={at} className="choice">
              <div>
                <strong className="choice-value">{format(value)}</strong>
                {isShown && <span className="tag">shown now</span>}
                <p className="fine">
                  {authors === null && conflict
                    ? "Looking up who it was…"
                    : author
                      ? `${author.author}${author.time === null ? "" : `, ${formatDateTime(author.time)}`}`
                      : conflict
                        ? "Who it was is not known"
                        : setBy}
                </p>
              </div>
              {conflict && onResolve && (
                <button
                  type="button"
                  className={isShown ? "" : "primary"}
                  aria-label={`${isShown ? "Keep" : "Take"} this: ${format(value)}`}
                  onClick={() => {
                    onResolve(operation)
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
      {conflict && !onResolve && <p className="fine">You may look at this plan, but not change it.</p>}
    </Dialog>
  )
}
