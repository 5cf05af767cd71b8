import { Check, RotateCcw, Trash2 } from "lucide-react"
import { useRef, useState } from "react"
import type { Comment } from "../../plan/comments"
import { formatDateTime } from "../../plan/format"
import { truncate } from "../../plan/text"
import type { CommentPlace } from "../../sync/comment-drafts"
import { Dialog } from "../Dialog"
import { CommentComposer } from "./CommentComposer"
import { CommentText } from "./CommentText"
import type { CommentResult, commentActions } from "./comment-actions"

interface Props {
  /** Id of the position. */
  id: string
  /** Designation of the position; `null` if it was deleted. */
  name: string | null
  comments: readonly Comment[]
  /** Names of known people. */
  people: readonly string[]
  /** Name of the user; empty if unknown. */
  me: string
  /** The name under which the user's comments are stored. */
  author: string
  canEdit: boolean
  /** Where a text is kept until it is sent. */
  draftPlace: CommentPlace
  actions: ReturnType<typeof commentActions>
  onClose: () => void
}

/** The comments of a position. */
export function CommentsDialog({ id, name, comments, people, me, author, canEdit, draftPlace, actions, onClose }: Props) {
  const [result, setResult] = useState<CommentResult | null>(null)
  // A deleted position keeps its last known name in the title.
  const title = useRef("")
  title.current = name ?? title.current
  const isOpen = canEdit && name !== null
  return (
    <Dialog title={`Comments on ${title.current || "an untitled position"}`} onClose={onClose} isSide>
      {name === null && <p className="fine">This position was deleted.</p>}
      {name !== null && comments.length === 0 && <p className="fine">No comments yet.</p>}
      {comments.length > 0 && (
        <ol className="comments" aria-label="Comments">
          {comments.map((comment) => (
            <li key={comment.id} className={comment.done ? "comment done" : "comment"}>
              <p className="entry-head">
                <strong>{comment.by || "Unknown author"}</strong>{" "}
                <time dateTime={comment.at === null ? undefined : new Date(comment.at).toISOString()}>{formatDateTime(comment.at)}</time>
                {comment.done && <span className="tag">resolved</span>}
              </p>
              <CommentText text={comment.text} people={people} me={me} />
              {isOpen && (
                <div className="comment-buttons">
                  <button
                    type="button"
                    className="link"
                    onClick={() => setResult(actions.setCommentDone({ position: id, comment: comment.id }, !comment.done))}
                  >
                    {comment.done ? <RotateCcw aria-hidden /> : <Check aria-hidden />} {comment.done ? "Reopen" : "Resolve"}
                    <span className="hidden"> the comment “{truncate(comment.text)}”</span>
                  </button>
                  {comment.by === author && (
                    <button
                      type="button"
                      className="link"
                      onClick={() => setResult(actions.deleteComment({ position: id, comment: comment.id }))}
                    >
                      <Trash2 aria-hidden /> Delete<span className="hidden"> the comment “{truncate(comment.text)}”</span>
                    </button>
                  )}
                </div>
              )}
            </li>
          ))}
        </ol>
      )}
      <p role="status" className="fine">
        {result?.text}{" "}
        {result?.actions.map(({ label, run }) => (
          <button
            key={label}
            type="button"
            className="link"
            onClick={() => {
              run()
              setResult(null)
            }}
          >
            {label}
          </button>
        ))}
      </p>
      {isOpen ? (
        <CommentComposer
          place={draftPlace}
          people={people}
          onAdd={(text) => {
            setResult(null)
            return actions.addComment(id, text)
          }}
        />
      ) : (
        name !== null && <p className="fine">You need edit access to comment.</p>
      )}
    </Dialog>
  )
}
