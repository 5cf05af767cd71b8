import { BadgeCheck, MessageSquare } from "lucide-react"
import { useCallback, useDeferredValue, useEffect, useId, useRef, useState } from "react"
import { Attribution } from "../history/attribution"
import type { DeletedEvent, FieldSetEvent, HistoryEntry, HistoryEvent } from "../history/events"
import type { HistoryPage, PastPlan } from "../history/protocol"
import { ARCHIVED } from "../plan/archive"
import { PlanColumns } from "../plan/columns"
import { type ColumnKey, isNumeric, keyOf } from "../plan/fields"
import { formatDateTime, formatFieldValue, formatMoney } from "../plan/format"
import { describeUnknownBudgets, sumBudgets } from "../plan/query"
import { type FieldValue, type Position, SETTING_LABELS, type Setting, shownValue } from "../plan/schema"
import { parseSharedMapField } from "../plan/shared-map"
import { validateField } from "../plan/validation"
import type { PlanSnapshot, PlanStore } from "../sync/plan-store"
import { ApprovalNote } from "./ApprovalNote"
import { useColumns } from "./columns-context"
import { CommentEventText } from "./comments/CommentEventText"
import { Dialog } from "./Dialog"
import { PositionsTable } from "./PositionsTable"
import { placeLabel } from "./place-actions"

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
  onClose,
}: Props) {
  const { changes, reading, historyProblem, sync } = snapshot
  const [page, setPage] = useState<HistoryPage | null>(null)
  /** Number of entries to show. */
  const [count, setCount] = useState(ENTRIES_PER_PAGE)
  // A deleted position keeps its last known name in the title.
  const name = useRef("")
  name.current = position?.designation ?? name.current

  // biome-ignore lint/correctness/useExhaustiveDependencies: new changes require a new page
  useEffect(() => {
    const scope = id === null ? {} : { position: id }
    // Responses arrive in order; errors are part of the snapshot.
    store.history?.request("page", { scope, before: null, limit: count }).then(setPage, () => undefined)
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
      {id === null && changes !== null && changes > 1 && <PastPlanView store={store} changes={changes} />}
      {page && (
        <ol className="entries">
          {page.entries.map((entry) => (
            <EntryRow
              key={entry.hash}
              entry={entry}
              user={users.get(entry.hash) ?? null}
              isSinglePosition={id !== null}
              current={(event) => (event.position === null ? undefined : store.get(event.position))}
              onRestore={canEdit ? onRestore : null}
              onRestorePositions={canEdit ? onRestorePositions : null}
            />
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

interface EntryProps {
  entry: HistoryEntry
  /** The user that submitted the change; `null` if unknown. */
  user: string | null
  isSinglePosition: boolean
  current: (event: HistoryEvent) => Position | undefined
  onRestore: ((id: string, field: ColumnKey, value: FieldValue) => void) | null
  onRestorePositions: ((deleted: readonly DeletedEvent[]) => void) | null
}

const SHOWN_EVENTS = 5

function EntryRow({ entry, user, isSinglePosition, current, onRestore, onRestorePositions }: EntryProps) {
  const [isAll, setAll] = useState(false)
  const events = isAll ? entry.events : entry.events.slice(0, SHOWN_EVENTS)
  const omittedCount = entry.events.length - events.length
  const deletedPositions = entry.events.filter((event): event is DeletedEvent => event.kind === "deleted" && !current(event))
  return (
    <li className="entry">
      <p className="entry-head">
        <strong>{entry.author}</strong>
        {user !== null &&
          (user === entry.author ? (
            <span className="tag" title="The server confirmed the author.">
              <BadgeCheck aria-hidden /> verified
            </span>
          ) : (
            <span className="tag doubtful">submitted by {user}</span>
          ))}{" "}
        <time dateTime={entry.time === null ? undefined : new Date(entry.time).toISOString()}>{formatDateTime(entry.time)}</time>
      </p>
      <ul>
        {events.map((event, at) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: the events of a change never change
          <li key={at}>
            <EventText event={event} isSinglePosition={isSinglePosition} />
            {event.kind === "set" && <RestoreValueButton event={event} now={current(event)} onRestore={onRestore} />}
            {event.kind === "deleted" && (
              <RestorePositionsButton
                events={deletedPositions.filter((other) => other === event)}
                onRestorePositions={onRestorePositions}
              />
            )}
          </li>
        ))}
        {events.length === 0 && <li>{entry.message || "Other change"}</li>}
      </ul>
      {deletedPositions.length > 1 && <RestorePositionsButton events={deletedPositions} onRestorePositions={onRestorePositions} />}
      {(omittedCount > 0 || (isAll && entry.omitted > 0)) && (
        <p className="fine">
          {omittedCount > 0 ? (
            <button type="button" className="link" onClick={() => setAll(true)}>
              and {omittedCount + entry.omitted} more
            </button>
          ) : (
            `and ${entry.omitted} more`
          )}
        </p>
      )}
    </li>
  )
}

function EventText({ event, isSinglePosition }: { event: HistoryEvent; isSinglePosition: boolean }) {
  const columns = useColumns()
  if (event.kind === "set" && event.position === null && event.field === ARCHIVED) {
    if (event.new === "true") return <>archived the plan</>
    if (event.new === null) return <>restored the plan from the archive</>
  }
  const name = event.name || "a position"
  const subject = isSinglePosition ? "it" : <em>{name}</em>
  if (event.kind === "replaced")
    return (
      <>
        {event.rows > 1 ? `merged ${event.rows} copies of` : "replaced"} {subject}
      </>
    )
  if (event.kind === "comment") return <CommentEventText event={event} subject={subject} />
  if (event.kind !== "set")
    return (
      <>
        {event.kind} {subject}
      </>
    )
  return (
    <>
      {!isSinglePosition && event.position !== null && (
        <>
          <em>{name}</em>:{" "}
        </>
      )}
      {describeField(event, columns)} <FieldSetText event={event} />
    </>
  )
}

function describeField({ position, field }: FieldSetEvent, columns: PlanColumns): string {
  if (position !== null) return columns.noun(field)
  const entry = parseSharedMapField(field)
  if (entry) return placeLabel([entry.map, entry.key], columns)
  return Object.hasOwn(SETTING_LABELS, field) ? `${SETTING_LABELS[field as Setting].toLowerCase()} of the plan` : field
}

/** Old and new value of a field, or the value that was kept from a conflict. */
function FieldSetText({ event: { field, old, new: now, resolved, restored, nested } }: { event: FieldSetEvent }) {
  const columns = useColumns()
  const format = (value: FieldValue) => formatFieldValue(columns.field(field) ?? field, value)
  if (nested) return <>changed</>
  if (restored)
    return (
      <>
        restored <ins>{format(now)}</ins>
      </>
    )
  if (!resolved)
    return (
      <>
        <del>{format(old)}</del> <span aria-hidden>→</span>
        <span className="hidden">became</span> <ins>{format(now)}</ins>
      </>
    )
  const over = resolved.filter((value) => value !== now).map(format)
  return (
    <>
      {resolved.includes(now) && "kept "}
      {now === null ? "cleared" : <ins>{format(now)}</ins>} over <del>{over.join(" and ")}</del>
    </>
  )
}

/** Restores deleted positions. */
function RestorePositionsButton({
  events,
  onRestorePositions,
}: {
  events: readonly DeletedEvent[]
  onRestorePositions: EntryProps["onRestorePositions"]
}) {
  if (!onRestorePositions || events.length === 0) return null
  return (
    <button type="button" className="link" onClick={() => onRestorePositions(events)}>
      Restore {events.length === 1 ? events[0]?.name || "it" : `all ${events.length}`}
    </button>
  )
}

/** Restores the old value of a field while it differs from the current one. */
function RestoreValueButton({
  event,
  now,
  onRestore,
}: {
  event: FieldSetEvent
  now: Position | undefined
  onRestore: EntryProps["onRestore"]
}) {
  const { position, old } = event
  const field = useColumns().field(event.field)
  if (!onRestore || !now || now.invalidEntry !== undefined || position === null || field === null) return null
  if (old === null || isNumeric(field) !== (typeof old === "number") || shownValue(now, keyOf(field)) === old) return null
  if (validateField(field, old) !== null) return null
  return (
    <button type="button" className="link" onClick={() => onRestore(position, keyOf(field), old)}>
      Restore {formatFieldValue(field, old)}
    </button>
  )
}

/** The plan at an earlier time, selected with a slider. */
function PastPlanView({ store, changes }: { store: PlanStore; changes: number }) {
  const [index, setIndex] = useState<number | null>(null)
  const [past, setPast] = useState<PastPlan | null>(null)
  const deferredIndex = useDeferredValue(index)
  /** The latest slider position. */
  const targetIndex = useRef<number | null>(null)
  const busy = useRef(false)
  const id = useId()

  // One request at a time; skipped slider positions are not requested.
  const read = useCallback(async () => {
    if (busy.current) return
    busy.current = true
    for (let requested: number | null = null; targetIndex.current !== null && targetIndex.current !== requested; ) {
      requested = targetIndex.current
      const found = await store.history?.request("planAt", { index: requested }).catch(() => null)
      if (targetIndex.current === requested) setPast(found ?? null)
    }
    busy.current = false
  }, [store])
  useEffect(() => {
    targetIndex.current = deferredIndex
    if (deferredIndex === null) setPast(null)
    else void read()
  }, [deferredIndex, read])

  const last = changes - 1
  return (
    <section className="travel" aria-label="Earlier version">
      <label htmlFor={id}>View an earlier version</label>
      <input
        id={id}
        type="range"
        min={0}
        max={last}
        value={index ?? last}
        aria-valuetext={past ? `after a change by ${past.author}, ${formatDateTime(past.time)}` : "now"}
        onChange={(event) => {
          const at = Number(event.target.value)
          setIndex(at === last ? null : at)
        }}
      />
      {past && (
        <div className="past">
          <p>
            After a change by <strong>{past.author}</strong>
            {past.time !== null && `, ${formatDateTime(past.time)}`}: {past.positions.length.toLocaleString()} positions,{" "}
            {formatPlanMoney(past, pastBudgetSum(past))}
            {past.settings.totalBudget !== null && ` of ${formatPlanMoney(past, past.settings.totalBudget)}`}
            {describeUnknownBudgets(past.positions) && `, ${describeUnknownBudgets(past.positions)}`}.{" "}
            <button type="button" className="link" onClick={() => setIndex(null)}>
              Back to now
            </button>
          </p>
          <PositionsTable
            rows={past.positions.map((position) => ({ key: position.id, ...position }))}
            fields={new PlanColumns(past.columns).fields}
            maxRows={MAX_PAST_ROWS}
            label="Positions in this version"
          />
        </div>
      )}
    </section>
  )
}

const MAX_PAST_ROWS = 300
const pastBudgetSum = (past: PastPlan): number => sumBudgets(past.positions as unknown as readonly Position[])
const formatPlanMoney = ({ settings }: PastPlan, units: number): string => formatMoney(units, settings.currency, settings.unit)
