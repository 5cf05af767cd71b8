import { BadgeCheck } from "lucide-react"
import { useCallback, useDeferredValue, useEffect, useId, useMemo, useRef, useState } from "react"
import type { Deed, Entry, SetField, Went } from "../history/ledger"
import type { HistoryPage, Past } from "../history/protocol"
import { Witness } from "../history/witness"
import type { Deleted } from "../plan/edit"
import { moment, money } from "../plan/money"
import type { Field, FieldValue, Position, Setting, Settings } from "../plan/schema"
import { isField, LABELS, SETTING_LABELS, used } from "../plan/table"
import type { PlanStore, Snapshot } from "../sync/store"
import { show } from "./ConflictDialog"
import { Dialog } from "./Dialog"
import { PositionsTable } from "./PositionsTable"

interface Props {
  store: PlanStore
  snapshot: Snapshot
  /** One position; null: the plan. */
  position: Position | null
  canEdit: boolean
  /** The server knows users, and so who has brought changes in. */
  isWitnessed: boolean
  onRestore: (id: string, field: Field, value: FieldValue) => void
  onBringBack: (positions: Deleted[]) => void
  onClose: () => void
}

const PAGE = 40

/** What has happened, from the document itself: it works without a network. */
export function HistoryPanel({ store, snapshot, position, canEdit, isWitnessed, onRestore, onBringBack, onClose }: Props) {
  const { changes, reading, historyProblem, settings, sync } = snapshot
  const [page, setPage] = useState<HistoryPage | null>(null)
  const id = position?.id
  const isOpen = useRef(true)
  useEffect(() => {
    isOpen.current = true
    return () => {
      isOpen.current = false
    }
  }, [])

  const load = useCallback(
    async (before: number | null, so: HistoryPage | null) => {
      const about = id === undefined ? {} : { position: id }
      const next = await store.history?.ask("page", { about, before, limit: PAGE }).catch(() => undefined)
      if (next && isOpen.current)
        setPage(so ? { ...next, entries: [...so.entries, ...next.entries], places: [...so.places, ...next.places] } : next)
    },
    [store, id],
  )
  // biome-ignore lint/correctness/useExhaustiveDependencies: read again when there is something new
  useEffect(() => {
    void load(null, null)
  }, [changes, load])

  const witness = useMemo(() => (isWitnessed ? new Witness(store.id, id ?? null) : null), [isWitnessed, store, id])
  const [users, setUsers] = useState<ReadonlyMap<string, string>>(new Map())
  const isAsked = witness !== null && sync.kind === "live"
  useEffect(() => {
    if (!isAsked || !page) return
    void witness.of(page.entries.map(({ hash }) => hash)).then((found) => isOpen.current && setUsers(found))
  }, [witness, isAsked, page])

  return (
    <Dialog title={position ? `History of ${position.designation}` : "History of the plan"} onClose={onClose} isSide>
      {historyProblem && <p className="problem">The history could not be read: {historyProblem}</p>}
      {reading !== null && !historyProblem && (
        <p className="fine" role="status">
          Reading the history… {Math.round(reading * 100)} %
        </p>
      )}
      {!position && changes !== null && changes > 1 && <TimeTravel store={store} changes={changes} settings={settings} />}
      {page && (
        <ol className="entries">
          {page.entries.map((entry) => (
            <EntryItem
              key={entry.hash}
              entry={entry}
              user={users.get(entry.hash) ?? null}
              isAlone={position !== null}
              current={(deed) => (deed.position === null ? undefined : store.get(deed.position))}
              onRestore={canEdit ? onRestore : null}
              onBringBack={canEdit ? onBringBack : null}
            />
          ))}
        </ol>
      )}
      {page && page.entries.length === 0 && <p className="fine">Nothing has happened yet.</p>}
      {page?.next != null && (
        <button type="button" onClick={() => void load(page.next, page)}>
          Show earlier changes
        </button>
      )}
    </Dialog>
  )
}

interface EntryProps {
  entry: Entry
  /** Who the server has seen bring it in; null: it does not say. */
  user: string | null
  isAlone: boolean
  current: (deed: Deed) => Position | undefined
  onRestore: ((id: string, field: Field, value: FieldValue) => void) | null
  onBringBack: ((positions: Deleted[]) => void) | null
}

const DEEDS = 5

function EntryItem({ entry, user, isAlone, current, onRestore, onBringBack }: EntryProps) {
  const [isAll, setAll] = useState(false)
  const deeds = isAll ? entry.deeds : entry.deeds.slice(0, DEEDS)
  const more = entry.deeds.length - deeds.length
  const gone = entry.deeds.filter((deed): deed is Went => deed.kind === "deleted" && !current(deed))
  return (
    <li className="entry">
      <p className="entry-head">
        <strong>{entry.who}</strong>
        {user !== null &&
          (user === entry.who ? (
            <span className="tag" title="The server has seen them log in.">
              <BadgeCheck aria-hidden /> verified
            </span>
          ) : (
            <span className="tag doubtful">brought in by {user}</span>
          ))}{" "}
        <time dateTime={entry.time === null ? undefined : new Date(entry.time).toISOString()}>{moment(entry.time)}</time>
      </p>
      <ul>
        {deeds.map((deed, at) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: a change does not change
          <li key={at}>
            <DeedText deed={deed} isAlone={isAlone} />
            {deed.kind === "set" && <RestoreButton deed={deed} now={current(deed)} onRestore={onRestore} />}
            {deed.kind === "deleted" && <BringBackButton deeds={gone.filter((other) => other === deed)} onBringBack={onBringBack} />}
          </li>
        ))}
        {deeds.length === 0 && <li>{entry.message || "A change of something else"}</li>}
      </ul>
      {gone.length > 1 && <BringBackButton deeds={gone} onBringBack={onBringBack} />}
      {(more > 0 || (isAll && entry.more > 0)) && (
        <p className="fine">
          {more > 0 ? (
            <button type="button" className="link" onClick={() => setAll(true)}>
              and {more + entry.more} more
            </button>
          ) : (
            `and ${entry.more} more`
          )}
        </p>
      )}
    </li>
  )
}

function DeedText({ deed, isAlone }: { deed: Deed; isAlone: boolean }) {
  const name = deed.name || "a position"
  if (deed.kind !== "set") {
    return (
      <>
        {deed.kind} {isAlone ? "it" : <em>{name}</em>}
      </>
    )
  }
  const label =
    deed.position === null
      ? `${SETTING_LABELS[deed.field as Setting].toLowerCase()} of the plan`
      : isField(deed.field)
        ? LABELS[deed.field].toLowerCase()
        : deed.field
  return (
    <>
      {!isAlone && deed.position !== null && (
        <>
          <em>{name}</em>:{" "}
        </>
      )}
      {label} <del>{show(deed.old)}</del> <span aria-hidden>→</span>
      <span className="hidden">became</span> <ins>{show(deed.new)}</ins>
    </>
  )
}

/** Brings positions back that were deleted, as they were. */
function BringBackButton({ deeds, onBringBack }: { deeds: readonly Went[]; onBringBack: EntryProps["onBringBack"] }) {
  if (!onBringBack || deeds.length === 0) return null
  return (
    <button type="button" className="link" onClick={() => onBringBack(deeds.map(({ position, row }) => ({ id: position, ...row })))}>
      Restore {deeds.length === 1 ? deeds[0]?.name || "it" : `all ${deeds.length}`}
    </button>
  )
}

/** Puts the old value back, while another one stands there. */
function RestoreButton({ deed, now, onRestore }: { deed: SetField; now: Position | undefined; onRestore: EntryProps["onRestore"] }) {
  const { field, position, old } = deed
  if (!onRestore || !now || position === null || !isField(field) || old === null || now[field] === old) return null
  if (field === "designation" && old === "") return null
  return (
    <button type="button" className="link" onClick={() => onRestore(position, field, old)}>
      Restore {show(old)}
    </button>
  )
}

/** The plan as it was: one moves through the changes. */
function TimeTravel({ store, changes, settings }: { store: PlanStore; changes: number; settings: Settings }) {
  const [place, setPlace] = useState<number | null>(null)
  const [past, setPast] = useState<Past | null>(null)
  const wanted = useDeferredValue(place)
  const busy = useRef(false)
  const next = useRef<number | null>(null)
  const id = useId()

  // One at a time; of those that one slides over, only the last is read.
  const read = useCallback(
    async (at: number) => {
      next.current = at
      if (busy.current) return
      busy.current = true
      while (next.current !== null) {
        const asked: number = next.current
        next.current = null
        const found = await store.history?.ask("past", { place: asked }).catch(() => null)
        if (next.current === null) setPast(found ?? null)
      }
      busy.current = false
    },
    [store],
  )
  useEffect(() => {
    if (wanted !== null) void read(wanted)
    else setPast(null)
  }, [wanted, read])

  const last = changes - 1
  return (
    <section className="travel" aria-label="The plan as it was">
      <label htmlFor={id}>Look at the plan as it was</label>
      <input
        id={id}
        type="range"
        min={0}
        max={last}
        value={place ?? last}
        aria-valuetext={past ? `after a change of ${past.who}, ${moment(past.time)}` : "now"}
        onChange={(event) => {
          const at = Number(event.target.value)
          setPlace(at === last ? null : at)
        }}
      />
      {past && (
        <div className="past">
          <p>
            After a change of <strong>{past.who}</strong>
            {past.time !== null && `, ${moment(past.time)}`}: {past.positions.length.toLocaleString()} positions,{" "}
            {money(pastSum(past), settings.currency, settings.unit)}
            {past.totalBudget !== null && ` of ${money(past.totalBudget, settings.currency, settings.unit)}`}.{" "}
            <button type="button" className="link" onClick={() => setPlace(null)}>
              Back to now
            </button>
          </p>
          <PositionsTable
            rows={past.positions.map((position) => ({ key: position.id, ...position }))}
            most={PAST}
            label="Positions as they were"
          />
        </div>
      )}
    </section>
  )
}

const PAST = 300
const pastSum = (past: Past): number => used(past.positions as unknown as readonly Position[])
