import type { ReactNode } from "react"
import type { CommentEvent } from "../../history/events"
import { truncate } from "../../plan/text"

const VERBS: Record<CommentEvent["action"], string> = {
  added: "commented on",
  resolved: "resolved a comment on",
  reopened: "reopened a comment on",
  deleted: "deleted a comment on",
  restored: "restored a comment on",
}

/** A comment in the history. `subject`: the position. */
export function CommentEventText({ event: { action, text }, subject }: { event: CommentEvent; subject: ReactNode }) {
  return (
    <>
      {VERBS[action]} {subject}: “{truncate(text)}”
    </>
  )
}
