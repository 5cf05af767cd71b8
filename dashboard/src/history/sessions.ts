/** Groups the entries of the history by person and session, so that a day of work is a few lines. */
import { NO_COLUMNS, type PlanColumns } from "../plan/columns"
import { isFieldKey } from "../plan/fields"
import { parseSharedMapField, type SharedMapKey } from "../plan/shared-map"
import type { HistoryEntry, HistoryEvent } from "./events"

/** Entries of one author without a longer pause than {@link SESSION_GAP_MS}. */
export interface HistorySession {
  /** Author as claimed by the changes. */
  author: string
  /** Newest first. */
  entries: readonly SessionEntry[]
  /** Time of the first and of the last entry; `null` if no entry has a time. */
  start: number | null
  end: number | null
  /** Earlier entries, which have not been read, may belong to the session. */
  isOpen: boolean
}

export interface SessionEntry {
  entry: HistoryEntry
  /** Index among all changes of the document. */
  index: number
}

/** The longest pause within a session. */
export const SESSION_GAP_MS = 30 * 60_000

interface Growing extends HistorySession {
  entries: SessionEntry[]
}

/**
 * Groups entries, which are in the order of the history, newest first. People who work at the same time have sessions of their own. The
 * sessions are in the order of their newest entries. `hasMore`: the history goes on after the last entry.
 */
export function groupBySession(entries: readonly SessionEntry[], hasMore: boolean): HistorySession[] {
  const sessions: Growing[] = []
  let previous: Growing | null = null
  for (const item of entries) {
    const { author, time } = item.entry
    const neighbour: Growing | null = previous?.author === author ? previous : null
    const isNext = time === null || neighbour?.start === null
    // Offline edits of another day may have arrived in between.
    const known = isNext ? neighbour : sessions.findLast((session) => session.author === author && isNear(session, time))
    const session: Growing = known ?? { author, entries: [], start: null, end: null, isOpen: false }
    if (!known) sessions.push(session)
    session.entries.push(item)
    if (time !== null) {
      session.start = session.start === null ? time : Math.min(session.start, time)
      session.end = session.end === null ? time : Math.max(session.end, time)
    }
    previous = session
  }
  if (hasMore) for (const session of sessions) session.isOpen = mayGoOn(session, previous)
  return sessions
}

const isNear = ({ start, end }: HistorySession, time: number): boolean =>
  start !== null && end !== null && time >= start - SESSION_GAP_MS && time <= end + SESSION_GAP_MS

/** Whether an entry before the last one that was read may belong to a session. */
function mayGoOn(session: HistorySession, last: HistorySession | null): boolean {
  if (session === last || session.start === null || last?.start == null) return true
  return last.start >= session.start - SESSION_GAP_MS
}

/** Parts of a summary that are named; the others are counted. */
const MAX_PARTS = 3

/** What the entries of a session did, in words: `12 budgets, 2 positions added`. */
export function summarizeSession({ entries, isOpen }: HistorySession, columns: PlanColumns = NO_COLUMNS): string {
  const counts = new Map<string, number>()
  let others = 0
  for (const { entry } of entries) {
    for (const event of entry.events) {
      const kind = kindOf(event)
      counts.set(kind, (counts.get(kind) ?? 0) + 1)
    }
    others += entry.omitted + (entry.events.length === 0 ? 1 : 0)
  }
  const sorted = [...counts].sort(([, one], [, other]) => other - one)
  const parts = sorted.slice(0, MAX_PARTS).map(([kind, count]) => inWords(kind, count, columns))
  for (const [, count] of sorted.slice(MAX_PARTS)) others += count
  if (others > 0) {
    const count = others.toLocaleString()
    if (parts.length === 0) parts.push(others === 1 ? "1 change" : `${count} changes`)
    else parts.push(others === 1 ? "1 more change" : `${count} more changes`)
  }
  return isOpen ? `${parts.join(", ")} or more` : parts.join(", ")
}

/** What the entries of shared maps are called. */
const SHARED_MAP_ENTRIES = new Map<string, string>([
  ["departmentBudgets", "department budget"],
  ["views", "view"],
  ["versions", "named version"],
  ["columns", "column"],
  ["scenarios", "scenario"],
] satisfies [SharedMapKey, string][])

/** What is counted: a field of positions, or what happened to them. */
function kindOf(event: HistoryEvent): string {
  switch (event.kind) {
    case "set":
      return event.position === null ? (parseSharedMapField(event.field)?.map ?? "plan") : `field ${event.field}`
    case "comment":
      return event.action === "added" ? "comment" : "comment changed"
    default:
      return event.kind
  }
}

function inWords(kind: string, count: number, columns: PlanColumns): string {
  const number = count.toLocaleString()
  const counted = (one: string, many = `${one}s`) => `${number} ${count === 1 ? one : many}`
  if (kind.startsWith("field ")) {
    const field = kind.slice("field ".length)
    const noun = columns.noun(field)
    if (!isFieldKey(field)) return `${counted("change")} of ${noun}`
    return counted(noun, noun.endsWith("s") ? `${noun}es` : `${noun}s`)
  }
  if (kind === "plan") return counted("setting")
  const entry = SHARED_MAP_ENTRIES.get(kind)
  if (entry !== undefined) return counted(entry)
  if (kind === "comment") return counted("comment")
  if (kind === "comment changed") return `${counted("comment")} changed`
  return `${counted("position")} ${kind}`
}
