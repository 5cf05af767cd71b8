/** Which sessions of the history are expanded. A session keeps its state while entries join it. */
import type { HistorySession } from "../../history/sessions"

/** By the hash of an entry, whether its session is expanded. */
export type SessionStates = ReadonlyMap<string, boolean>

/** Sessions with more entries are collapsed at first, except the newest one. */
const MAX_EXPANDED = 5

const stateOf = ({ entries }: HistorySession, states: SessionStates): boolean | undefined => {
  const known = entries.find(({ entry }) => states.has(entry.hash))
  return known && states.get(known.entry.hash)
}

export const isExpanded = (session: HistorySession, states: SessionStates): boolean => stateOf(session, states) ?? false

export function setExpanded({ entries }: HistorySession, value: boolean, states: SessionStates): SessionStates {
  const next = new Map(states)
  for (const { entry } of entries) next.set(entry.hash, value)
  return next
}

/** Decides about sessions that are shown for the first time. */
export function withNewSessions(sessions: readonly HistorySession[], states: SessionStates): SessionStates {
  let next = states
  for (const session of sessions) {
    const isNewest = states.size === 0 && session === sessions[0]
    next = setExpanded(session, stateOf(session, states) ?? (isNewest || session.entries.length <= MAX_EXPANDED), next)
  }
  return next
}
