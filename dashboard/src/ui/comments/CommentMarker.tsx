import { MessageSquare } from "lucide-react"
import type { Comment } from "../../plan/comments"

/** The number of unresolved comments in words: `2 unresolved comments`; empty if there is none. */
export function describeUnresolved(comments: readonly Comment[] | null): string {
  const count = countUnresolved(comments)
  return count === 0 ? "" : `${count} unresolved ${count === 1 ? "comment" : "comments"}`
}

const countUnresolved = (comments: readonly Comment[] | null): number => comments?.filter(({ done }) => !done).length ?? 0

function labelOf(name: string, comments: readonly Comment[] | null): string {
  if (comments === null) return `Comment on ${name}`
  const resolved = comments.length === 1 ? "1 resolved comment" : `${comments.length} resolved comments`
  return `Comments on ${name}: ${describeUnresolved(comments) || resolved}`
}

interface Props {
  /** Designation of the position. */
  name: string
  /** `null` if there are none. */
  comments: readonly Comment[] | null
  isActive: boolean
  onOpen: () => void
}

/** Opens the comments of a position. Without unresolved comments it appears while the row is hovered. */
export function CommentMarker({ name, comments, isActive, onOpen }: Props) {
  const count = countUnresolved(comments)
  return (
    <button
      type="button"
      className={count > 0 ? "comment-marker" : "comment-marker quiet"}
      aria-label={labelOf(name, comments)}
      title={`${labelOf(name, comments)} (Shift+F2)`}
      tabIndex={isActive ? 0 : -1}
      onPointerDown={(event) => event.stopPropagation()}
      onPointerUp={(event) => event.stopPropagation()}
      onDoubleClick={(event) => event.stopPropagation()}
      onClick={onOpen}
    >
      <MessageSquare aria-hidden />
      {count > 0 && <span aria-hidden>{count}</span>}
    </button>
  )
}
