import { useEffect, useState } from "react"
import type { ChangeAttribution } from "../history/protocol"
import { formatDateTime } from "../plan/format"
import type { Conflict, FieldValue } from "../plan/schema"
import type { PlanStore } from "../sync/plan-store"
import { Dialog } from "./Dialog"

interface Props {
  store: PlanStore
  title: string
  /** The shown value, and its author if known. */
  value: FieldValue
  setBy: string
  /** `null`: the conflict is resolved. */
  conflict: Conflict | null
  format: (value: FieldValue) => string
  /** Receives the operation that wrote the chosen value. */
  onResolve: ((operation: string) => void) | null
  onClose: () => void
}

/** Shows all values of a conflict with authors and times, and resolves it. */
export function ConflictDialog({ store, title, value: current, setBy, conflict, format, onResolve, onClose }: Props) {
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

  // Without a conflict, another user has resolved it.
  const shown = { value: current, operation: conflict?.winner ?? "", isShown: true }
  const values = [shown, ...(conflict?.losing.map((losing) => ({ ...losing, isShown: false })) ?? [])]
  return (
    <Dialog title={title} onClose={onClose}>
      {conflict ? (
        <p>Several people changed this at the same time. Choose the value to keep. Until then everybody sees the first one.</p>
      ) : (
        <p>This conflict is resolved.</p>
      )}
      <ul className="choices">
        {values.map(({ value, operation, isShown }, at) => {
          const author = authors?.[at]
          return (
            // biome-ignore lint/suspicious/noArrayIndexKey: the values have no ids
            <li key={at} className="choice">
              <div>
                <strong className="choice-value">{format(value)}</strong>
                {isShown && <span className="tag">current</span>}
                <p className="fine">
                  {authors === null && conflict
                    ? "Loading author…"
                    : author
                      ? `${author.author}${author.time === null ? "" : `, ${formatDateTime(author.time)}`}`
                      : conflict
                        ? "Unknown author"
                        : setBy}
                </p>
              </div>
              {conflict && onResolve && (
                <button
                  type="button"
                  className={isShown ? "" : "primary"}
                  aria-label={`${isShown ? "Keep" : "Use"} this: ${format(value)}`}
                  onClick={() => {
                    onResolve(operation)
                    onClose()
                  }}
                >
                  {isShown ? "Keep this" : "Use this"}
                </button>
              )}
            </li>
          )
        })}
      </ul>
      {conflict && !onResolve && <p className="fine">You need edit access to resolve this conflict.</p>}
    </Dialog>
  )
}
