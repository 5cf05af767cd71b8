/** What the page and its history worker say to each other. */
import type { Settings } from "../plan/schema"
import type { Entry, Swallowed } from "./deeds"

export interface About {
  position?: string
  field?: string
}

export interface HistoryPage {
  entries: Entry[]
  /** The place of each entry among all changes. */
  places: number[]
  /** Where to go on; null: there is nothing more. */
  next: number | null
}

/** A position of the past. */
export interface PastPosition {
  id: string
  designation: string
  department: string
  budget: number | null
  location: string
  odd?: Partial<Record<string, string>>
}

export interface Past {
  positions: PastPosition[]
  settings: Settings
  who: string
  time: number | null
}

export interface Maker {
  who: string
  time: number | null
}

/** What is asked, and what is answered to it. */
export interface Questions {
  page: { ask: { about: About; before: number | null; limit: number }; answer: HistoryPage }
  past: { ask: { place: number }; answer: Past | null }
  /** The heads before the last deletion of a position. */
  beforeDeletion: { ask: { position: string }; answer: string[] | null }
  makers: { ask: { operations: string[] }; answer: (Maker | null)[] }
}

export type ToWorker =
  | { type: "open"; bytes: Uint8Array }
  | { type: "add"; bytes: Uint8Array }
  | { [Q in keyof Questions]: { type: "ask"; id: number; question: Q; ask: Questions[Q]["ask"] } }[keyof Questions]

export type FromWorker =
  /** How far the reading of the changes is. */
  | { type: "progress"; done: number; total: number }
  /** Everything so far has been read. */
  | { type: "read"; changes: number; swallowed: Swallowed[] }
  /** The positions with conflicts, found once, when the document was opened. */
  | { type: "conflicts"; ids: string[] }
  | { type: "answer"; id: number; answer: unknown }
  /** One question could not be answered. */
  | { type: "refused"; id: number; reason: string }
  /** There is no history any more. */
  | { type: "failed"; reason: string }
