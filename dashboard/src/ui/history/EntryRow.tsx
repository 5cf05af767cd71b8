import { BadgeCheck, Tag } from "lucide-react"
import { useState } from "react"
import type { DeletedEvent, FieldSetEvent, HistoryEntry, HistoryEvent } from "../../history/events"
import { ARCHIVED } from "../../plan/archive"
import type { PlanColumns } from "../../plan/columns"
import { type ColumnKey, isNumeric, keyOf } from "../../plan/fields"
import { formatDateTime, formatFieldValue } from "../../plan/format"
import { type FieldValue, type Position, SETTING_LABELS, type Setting, shownValue } from "../../plan/schema"
import { parseSharedMapField } from "../../plan/shared-map"
import { validateField } from "../../plan/validation"
import { useColumns } from "../columns-context"
import { CommentEventText } from "../comments/CommentEventText"
import { placeLabel } from "../place-actions"

export interface EntryProps {
  entry: HistoryEntry
  /** The user that submitted the change; `null` if unknown. */
  user: string | null
  isSinglePosition: boolean
  current: (event: HistoryEvent) => Position | undefined
  onRestore: ((id: string, field: ColumnKey, value: FieldValue) => void) | null
  onRestorePositions: ((deleted: readonly DeletedEvent[]) => void) | null
  /** Names of the version after this change. */
  versions: readonly string[]
  /** Compares the plan with its state after this change; `null` in the history of a position. */
  onCompare: (() => void) | null
  /** Names that state; `null` without edit access. */
  onName: (() => void) | null
}

const SHOWN_EVENTS = 5

/** A change: its author and time, what it did, and what can be done with it. */
export function EntryRow({
  entry,
  user,
  versions,
  isSinglePosition,
  current,
  onRestore,
  onRestorePositions,
  onCompare,
  onName,
}: EntryProps) {
  const [isAll, setAll] = useState(false)
  const events = isAll ? entry.events : entry.events.slice(0, SHOWN_EVENTS)
  const omittedCount = entry.events.length - events.length
  const deletedPositions = entry.events.filter((event): event is DeletedEvent => event.kind === "deleted" && !current(event))
  // Each entry has these buttons.
  const hidden = (
    <span className="hidden">
      {" "}
      after the change by {entry.author}, {formatDateTime(entry.time)}
    </span>
  )
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
        {versions.map((name) => (
          <span key={name} className="tag" title="Named version">
            <Tag aria-hidden /> <span className="hidden">named version </span>
            {name}
          </span>
        ))}
      </p>
      <ul>
        {events.map((event, at) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: the events of a change never change
          <li key={at}>
            <EventText event={event} message={messageOf(entry)} isSinglePosition={isSinglePosition} />
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
      {(onCompare || onName) && (
        <p className="entry-actions">
          {onCompare && (
            <button type="button" className="link" onClick={onCompare}>
              Compare with now{hidden}
            </button>
          )}
          {onName && (
            <button type="button" className="link" onClick={onName}>
              Name this version…{hidden}
            </button>
          )}
        </p>
      )}
    </li>
  )
}

/** The message of a change without its author. */
const messageOf = ({ author, message }: HistoryEntry): string => (message.startsWith(`${author}: `) ? message.slice(author.length + 2) : "")

interface EventTextProps {
  event: HistoryEvent
  /** What the change says of itself; empty if it says nothing. */
  message: string
  isSinglePosition: boolean
}

function EventText({ event, message, isSinglePosition }: EventTextProps) {
  const columns = useColumns()
  // Entries of shared maps have random ids, and their messages have the names.
  if (event.kind === "set" && event.nested && event.position === null && parseSharedMapField(event.field) && message !== "") return message
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
