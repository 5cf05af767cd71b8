/** What changes have done, as the history tells it. */
import type { FieldValue } from "../plan/schema"

/** A field that a change has set. */
export interface FieldSetEvent {
  kind: "set"
  /** null: of the plan. */
  position: string | null
  /** What the position was called then. */
  name: string
  field: string
  /** What its author saw there before. */
  old: FieldValue
  /** What its author saw there afterwards. */
  new: FieldValue
  /** The values of a conflict that this ended, the one that was shown first. Absent: there was no conflict. */
  resolved?: FieldValue[]
  /** The value comes back with a position that was deleted. */
  restored?: true
  /** Something within a list or a map has changed: the values are not told. */
  nested?: true
}

/** A position that a change has made. */
export interface AddedEvent {
  /** `restored`: a position of this id had been deleted before. */
  kind: "added" | "restored"
  position: string
  name: string
}

/** A row that a change has written in the place of others. */
export interface ReplacedEvent {
  kind: "replaced"
  position: string
  name: string
  /** Rows that stood there for its author. */
  rows: number
}

/** A position that a change has deleted. */
export interface DeletedEvent {
  kind: "deleted"
  position: string
  name: string
  /** The document's heads before: there it is, whole. */
  heads: string[]
}

export type HistoryEvent = FieldSetEvent | AddedEvent | ReplacedEvent | DeletedEvent

/** One change. */
export interface HistoryEntry {
  hash: string
  /** Milliseconds since 1970, as the change says; null: it says nothing. */
  time: number | null
  /** Its author, as the change says. */
  author: string
  message: string
  events: HistoryEvent[]
  /** Deeds that are not listed: a large import has thousands. */
  omitted: number
}

/** An edit that nobody saw, because somebody deleted its position at the same time. */
export interface DiscardedEdit {
  /** Identifies it among all swallowed edits. */
  key: string
  position: string
  /** What the position was called. */
  name: string
  field: string
  value: FieldValue
  /** The edit was within a list or a map: `value` does not tell it. */
  nested: boolean
  author: string
  time: number | null
  deletedBy: string
  deletedAt: number | null
  /** The document's heads before the deletion, with this edit: there the position is, whole. */
  heads: string[]
}
