import { BadgeCheck, ChevronDown, ChevronRight } from "lucide-react"
import type { ReactNode } from "react"
import { type HistorySession, summarizeSession } from "../../history/sessions"
import { formatTimeRange } from "../../plan/format"
import { useColumns } from "../columns-context"

interface Props {
  session: HistorySession
  /** The users that submitted the changes, by hash. */
  users: ReadonlyMap<string, string>
  isExpanded: boolean
  onToggle: () => void
  /** The entries. */
  children: ReactNode
}

/** A session in one line, such as `CFO, 12 budgets, 14:02 – 14:20`, with its entries below it. A single entry speaks for itself. */
export function SessionRow({ session, users, isExpanded, onToggle, children }: Props) {
  const columns = useColumns()
  const { author, entries, start, end } = session
  const submitters = entries.map(({ entry }) => users.get(entry.hash))
  const isVerified = submitters.every((user) => user === author)
  const others = [...new Set(submitters.filter((user) => user !== undefined && user !== author))]
  const isSingle = entries.length === 1
  return (
    <li className="session">
      {!isSingle && (
        <button type="button" className="session-head" aria-expanded={isExpanded} onClick={onToggle}>
          {isExpanded ? <ChevronDown aria-hidden /> : <ChevronRight aria-hidden />}
          <span>
            <strong>{author}</strong>
            {isVerified && (
              <span className="tag" title="The server confirmed the author.">
                <BadgeCheck aria-hidden /> verified
              </span>
            )}
            {others.length > 0 && <span className="tag doubtful">submitted by {others.join(", ")}</span>},{" "}
            {summarizeSession(session, columns)}
            {start !== null && end !== null && <span className="session-time">, {formatTimeRange(start, end)}</span>}
          </span>
        </button>
      )}
      {(isExpanded || isSingle) && <ol className="entries">{children}</ol>}
    </li>
  )
}
