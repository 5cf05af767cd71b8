/** The user's actions on comments: each is recorded for undo. The dialog shows their results, as it covers the messages of the page. */

import type { UrlHeads } from "@automerge/automerge-repo/slim"
import { addComment, type CommentAddress, deleteComment, recoverComments, setCommentDone } from "../../plan/comments"
import type { PlaceActionsOptions } from "../place-actions"
import type { ToastAction } from "../Toast"

/** What an action on a comment did, and the button that undoes it. */
export interface CommentResult {
  text: string
  actions: readonly ToastAction[]
}

export function commentActions({ store, author, showToast, undoButton }: PlaceActionsOptions) {
  const { plan, undoStack } = store
  const on = (position: string) => `a comment on “${store.get(position)?.designation ?? ""}”`
  return {
    /** Returns whether the comment was added. */
    addComment(position: string, text: string): boolean {
      const { result } = undoStack.record(
        on(position).slice("a ".length),
        () => addComment(plan, position, text, author),
        (comment) => ({ comments: comment === null ? [] : [{ position, comment }] }),
      )
      return result !== null
    },
    setCommentDone(address: CommentAddress, done: boolean): CommentResult {
      const { action } = undoStack.record(
        `${done ? "resolution" : "reopening"} of ${on(address.position)}`,
        () => setCommentDone(plan, address, done, author),
        (isWritten) => ({ comments: isWritten ? [address] : [] }),
      )
      return { text: done ? "Resolved." : "Reopened.", actions: undoButton(action) }
    },
    deleteComment(address: CommentAddress): CommentResult {
      const { action } = undoStack.record(
        `deletion of ${on(address.position)}`,
        () => deleteComment(plan, address, author),
        () => ({ comments: [address] }),
      )
      return { text: "Comment deleted.", actions: undoButton(action) }
    },
    /** Brings back the comments that were added or resolved while somebody else deleted the position. */
    recoverComments(position: string, heads: UrlHeads): void {
      const name = store.get(position)?.designation ?? ""
      const { action } = undoStack.record(
        `recovery of comments on “${name}”`,
        () => recoverComments(plan, position, heads, author),
        (comments) => ({ comments }),
      )
      showToast(`Comments on “${name}” recovered.`, ...undoButton(action))
    },
  }
}
