import { MessageSquare } from "lucide-react"
import { useEffect, useMemo, useRef, useState } from "react"
import { Attribution } from "../history/attribution"
import type { DeletedEvent } from "../history/events"
import type { HistoryPage } from "../history/protocol"
import { groupBySession, type HistorySession, type SessionEntry } from "../history/sessions"
import type { ColumnKey } from "../plan/fields"
import type { FieldValue, Position } from "../plan/schema"
import type { PlanSnapshot, PlanStore } from "../sync/plan-store"
import { ApprovalNote } from "./ApprovalNote"
import { Dialog } from "./Dialog"
import { EntryRow } from "./history/EntryRow"
import { type OnVersion, PastPlanView } from "./history/PastPlanView"
import { SessionRow } from "./history/SessionRow"
import { isExpanded, type SessionStates, setExpanded, withNewSessions } from "./history/session-state"
import { versionNames } from "./versions/past-version"

interface Props {
  store: PlanStore
  snapshot: PlanSnapshot
  /** Id of a position; `null` for the whole plan. */
  id: string | null
  /** The current position, if it exists. */
  position: Position | undefined
  canEdit: boolean
  /** The server authenticates users and records who submitted each change. */
  hasAttribution: boolean
  onRestore: (id: string, field: ColumnKey, value: FieldValue) => void
  onRestorePositions: (deleted: readonly DeletedEvent[]) => void
  /** Approves a position with its current budget. */
  onApprove: (id: string) => void
  onComments: (id: string) => void
  /** Compares the plan with an earlier version. */
  onCompare: OnVersion
  /** Names an earlier version; `null` without edit access. */
  onNameVersion: OnVersion | null
  onClose: () => void
}

const ENTRIES_PER_PAGE = 40

/** History of a plan or a position, computed from the document. Works offline. */
export function HistoryPanel({
  store,
  snapshot,
  id,
  position,
  canEdit,
  hasAttribution,
  onRestore,
  onRestorePositions,
  onApprove,
  onComments,
  onCompare,
  onNameVersion,
  onClose,
}: Props) {
  const { changes, reading, historyProblem, sync } = snapshot
  const [page, setPage] = useState<HistoryPage | null>(null)
  const [states, setStates] = useState<SessionStates>(new Map())
  /** Number of entries to show. */
  const [count, setCount] = useState(ENTRIES_PER_PAGE)
  // A deleted position keeps its last known name in the title.
  const name = useRef("")
  name.current = position?.designation ?? name.current

  // biome-ignore lint/correctness/useExhaustiveDependencies: new changes require a new page
  useEffect(() => {
    const scope = id === null ? {} : { position: id }
    // Responses arrive in order; errors are part of the snapshot.
    store.history?.request("page", { scope, before: null, limit: count }).then(
      (read) => {
        setPage(read)
        setStates((before) => withNewSessions(sessionsOf(read), before))
      },
      () => undefined,
    )
  }, [changes, store, id, count])

  const [users, setUsers] = useState<ReadonlyMap<string, string>>(new Map())
  const attribution = useRef<Attribution | null>(null)
  useEffect(() => {
    const made = hasAttribution ? new Attribution(store.id, setUsers) : null
    attribution.current = made
    return () => made?.close()
  }, [hasAttribution, store])
  const isConnected = sync.kind === "live" || sync.kind === "syncing"
  const isFullySynced = sync.pending === 0
  useEffect(() => {
    if (isConnected && page)
      attribution.current?.request(
        page.entries.map(({ hash }) => hash),
        isFullySynced,
      )
  }, [isConnected, isFullySynced, page])

  const sessions = useMemo(() => (page ? sessionsOf(page) : []), [page])
  const named = useMemo(() => versionNames(snapshot.versions, page?.entries ?? []), [snapshot.versions, page])
  const isPlan = id === null
  const row = ({ entry, index }: SessionEntry) => (
    <EntryRow
      key={entry.hash}
      entry={entry}
      user={users.get(entry.hash) ?? null}
      isSinglePosition={!isPlan}
      versions={named.get(entry.hash) ?? []}
      current={(event) => (event.position === null ? undefined : store.get(event.position))}
      onRestore={canEdit ? onRestore : null}
      onRestorePositions={canEdit ? onRestorePositions : null}
      onCompare={isPlan ? () => onCompare(entry, index) : null}
      onName={isPlan && onNameVersion ? () => onNameVersion(entry, index) : null}
    />
  )

  return (
    <Dialog title={id === null ? "History of the plan" : `History of ${name.current}`} onClose={onClose} isSide>
      {id !== null && !position && <p className="fine">This position was deleted.</p>}
      {position && position.invalidEntry === undefined && (
        <p>
          <button type="button" onClick={() => onComments(position.id)}>
            <MessageSquare aria-hidden /> Comments
          </button>
        </p>
      )}
      {position && (
        <ApprovalNote
          store={store}
          position={position}
          settings={snapshot.settings}
          hasAttribution={hasAttribution}
          onApprove={canEdit ? () => onApprove(position.id) : null}
        />
      )}
      {historyProblem && <p className="problem">The history could not be read: {historyProblem}</p>}
      {reading !== null && !historyProblem && (
        <p className="fine" role="status">
          Loading history… {Math.round(reading * 100)} %
        </p>
      )}
      {isPlan && changes !== null && changes > 1 && (
        <PastPlanView store={store} changes={changes} onCompare={onCompare} onName={onNameVersion} />
      )}
      {page && (
        <ol className="entries">
          {sessions.map((session) => (
            <SessionRow
              key={keyOf(session)}
              session={session}
              users={users}
              isExpanded={isExpanded(session, states)}
              onToggle={() => setStates((before) => setExpanded(session, !isExpanded(session, before), before))}
            >
              {session.entries.map(row)}
            </SessionRow>
          ))}
        </ol>
      )}
      {page && page.entries.length === 0 && <p className="fine">No changes yet.</p>}
      {page?.next != null && (
        <button type="button" onClick={() => setCount(page.entries.length + ENTRIES_PER_PAGE)}>
          Show earlier changes
        </button>
      )}
    </Dialog>
  )
}

const sessionsOf = ({ entries, indices, next }: HistoryPage): HistorySession[] =>
  groupBySession(
    entries.map((entry, at) => ({ entry, index: indices[at] ?? 0 })),
    next !== null,
  )

/** The first entry of a session stays the same while new ones join it. */
const keyOf = ({ entries }: HistorySession): string => entries.at(-1)?.entry.hash ?? ""
