/** The effects of a change, as the history lists them. */
import type { FieldValue } from "../plan/schema"

/** A field was set. */
export interface FieldSetEvent {
  kind: "set"
  /** Id of the position; `null` for a field of the plan. */
  position: string | null
  /** Designation of the position at that time. */
  name: string
  field: string
  /** Value that the author saw before the change. */
  old: FieldValue
  /** Value after the change. */
  new: FieldValue
  /** Values of the conflict that the change resolved, the shown value first. Absent if there was no conflict. */
  resolved?: FieldValue[]
  /** The value returned with a restored position. */
  restored?: true
  /** The change edited something inside a list or map; `old` and `new` do not show it. */
  nested?: true
}

/** A position was added or restored. */
export interface AddedEvent {
  /** `restored`: a position with this id had been deleted before. */
  kind: "added" | "restored"
  position: string
  name: string
}

/** A row replaced one or more rows of the same position. */
export interface ReplacedEvent {
  kind: "replaced"
  position: string
  name: string
  /** Number of rows replaced. */
  rows: number
}

/** A position was deleted. */
export interface DeletedEvent {
  kind: "deleted"
  position: string
  name: string
  /** Heads before the deletion, at which the position is complete. */
  heads: string[]
}

/** A comment on a position was added, resolved, reopened or deleted, or brought back. */
export interface CommentEvent {
  kind: "comment"
  position: string
  name: string
  action: "added" | "resolved" | "reopened" | "deleted" | "restored"
  text: string
}

export type HistoryEvent = FieldSetEvent | AddedEvent | ReplacedEvent | DeletedEvent | CommentEvent

/** One change of the document. */
export interface HistoryEntry {
  hash: string
  /** Milliseconds since 1970 as claimed by the change; `null` if it has no time. */
  time: number | null
  /** Author as claimed by the change. */
  author: string
  message: string
  events: HistoryEvent[]
  /** Number of events left out; a large import has thousands. */
  omitted: number
}

/** An edit that is not visible because another user deleted the position concurrently. */
export interface DiscardedEdit {
  /** Unique among all discarded edits. */
  key: string
  position: string
  /** Designation of the position. */
  name: string
  field: string
  value: FieldValue
  /** The edit is inside a list or map; `value` does not show it. */
  nested: boolean
  author: string
  time: number | null
  deletedBy: string
  deletedAt: number | null
  /** Heads before the deletion plus this edit, at which the position is complete. */
  heads: string[]
}
