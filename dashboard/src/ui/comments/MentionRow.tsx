import type { Comment } from "../../plan/comments"
import { truncate } from "../../plan/text"

interface Props {
  /** Designation of the position. */
  name: string
  comment: Comment
  onShow: () => void
  onDismiss: () => void
}

/** An unresolved comment that mentions the user, in the list of what needs review. */
export function MentionRow({ name, comment, onShow, onDismiss }: Props) {
  return (
    <li>
      <span>
        <strong>{name}</strong>: {comment.by || "somebody"} mentioned you: “{truncate(comment.text)}”
      </span>
      <span className="row-buttons">
        <button type="button" onClick={onShow}>
          Show<span className="hidden"> the comments on {name}</span>
        </button>
        <button type="button" aria-label={`Dismiss the mention: ${name}`} onClick={onDismiss}>
          Dismiss
        </button>
      </span>
    </li>
  )
}
