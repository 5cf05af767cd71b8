/** Messages between the page and its history worker. */
import type { FieldValues } from "../plan/fields"
import type { PlanColumn } from "../plan/own-columns"
import type { OwnValues, Settings } from "../plan/schema"
import type { UpdatePreview } from "../plan/update-preview"
import type { VersionComparison } from "../plan/version-comparison"
import type { ChunkPlace } from "../sync/stored-chunks"
import type { DiscardedEdit, HistoryEntry } from "./events"
import type { PastState, StateAuthor } from "./past-states"

/** Limits a history page to one position, or to one field. */
export interface HistoryScope {
  position?: string
  field?: string
}

export interface HistoryPage {
  entries: HistoryEntry[]
  /** Index of each entry among all changes of the document. */
  indices: number[]
  /** Index to continue from; `null` on the last page. */
  next: number | null
}

/** A position at an earlier state of the plan. */
export interface PastPosition extends FieldValues {
  id: string
  own?: OwnValues
  mistyped?: Partial<Record<string, string>>
}

/** The plan after one change, with the author and the time of that change. */
export interface PastPlan {
  positions: PastPosition[]
  columns: PlanColumn[]
  settings: Settings
  author: string
  time: number | null
}

/** Author and time that a change claims. */
export interface ChangeAttribution {
  author: string
  time: number | null
  hash: string
}

/** Methods of the worker, with their parameters and results. */
export interface WorkerRequests {
  page: { params: { scope: HistoryScope; before: number | null; limit: number }; result: HistoryPage }
  planAt: { params: { index: number }; result: PastPlan | null }
  /** Heads after a change and all changes before it in the list. */
  headsAt: { params: { index: number }; result: string[] }
  /** The state at a time, in milliseconds since 1970. */
  stateAt: { params: { time: number }; result: PastState }
  /** The latest change of each of these states; `null` if this copy does not have all of its heads. */
  authorsOfStates: { params: { states: (readonly string[])[] }; result: (StateAuthor | null)[] }
  /** What has changed since the given heads; `null` if this copy does not have them. */
  compare: { params: { heads: readonly string[]; yearStart: string }; result: VersionComparison | null }
  /** What the merge of these changes of the plan changes. `base`: the heads of what the plan and this scenario have in common. */
  previewUpdate: { params: { changes: readonly Uint8Array[]; base: readonly string[]; yearStart: string }; result: UpdatePreview | null }
  /** Heads before the last deletion of a position. */
  headsBeforeDeletion: { params: { position: string }; result: string[] | null }
  authors: { params: { operations: string[] }; result: (ChangeAttribution | null)[] }
}

export type WorkerCommand =
  /** Loads what is stored of a document. */
  | { type: "open"; place: ChunkPlace }
  | { type: "addChanges"; bytes: Uint8Array }
  | { [M in keyof WorkerRequests]: { type: "request"; id: number; method: M; params: WorkerRequests[M]["params"] } }[keyof WorkerRequests]

export type WorkerMessage =
  /** The heads of what was stored; empty if nothing was. The worker waits for the changes since. */
  | { type: "opened"; heads: string[] }
  | { type: "progress"; done: number; total: number }
  /** The worker has read all changes received so far. */
  | { type: "loaded"; changes: number; discardedEdits: DiscardedEdit[] }
  /** Positions with conflicts. Sent once, after the document was loaded. */
  | { type: "conflicts"; ids: string[] }
  | { type: "response"; id: number; result: unknown }
  /** One request failed. */
  | { type: "error"; id: number; reason: string }
  /** The worker cannot read the document any more. */
  | { type: "failed"; reason: string }
