import { BadgeCheck } from "lucide-react"
import { useCallback, useDeferredValue, useEffect, useId, useRef, useState } from "react"
import type { Deed, Entry, SetField, Went } from "../history/deeds"
import type { HistoryPage, Past } from "../history/protocol"
import { Witness } from "../history/witness"
import { moment, money } from "../plan/money"
import { type Field, type FieldValue, type Position, type Setting, shownValue } from "../plan/schema"
import { isField, labelOf, SETTING_LABELS, unknownInWords, used } from "../plan/table"
import type { PlanStore, Snapshot } from "../sync/store"
import { show } from "./ConflictDialog"
import { Dialog } from "./Dialog"
import { PositionsTable } from "./PositionsTable"

interface Props {
  store: PlanStore
  snapshot: Snapshot
  /** Of one position; null: of the plan. */
  id: string | null
  /** As it is now, if it is there. */
  position: Position | undefined
  canEdit: boolean
  /** The server knows users, and so who has brought changes in. */
  isWitnessed: boolean
  onRestore: (id: string, field: Field, value: FieldValue) => void
  onBringBack: (deleted: readonly Went[]) => void
  onClose: () => void
}

const PAGE = 40

/** What has happened, from the document itself: it works without a network. */
export function HistoryPanel({ store, snapshot, id, position, canEdit, isWitnessed, onRestore, onBringBack, onClose }: Props) {
  const { changes, reading, historyProblem, sync } = snapshot
  const [page, setPage] = useState<HistoryPage | null>(null)
  /** So many changes are looked at. */
  const [count, setCount] = useState(PAGE)
  // Who is gone keeps the name that one last knew.
  const name = useRef("")
  name.current = position?.designation ?? name.current

  // biome-ignore lint/correctness/useExhaustiveDependencies: read again when there is something new
  useEffect(() => {
    const about = id === null ? {} : { position: id }
    // Answers come in the order of the questions; what has failed is said in the snapshot.
    store.history?.ask("page", { about, before: null, limit: count }).then(setPage, () => undefined)
  }, [changes, store, id, count])

  const [users, setUsers] = useState<ReadonlyMap<string, string>>(new Map())
  const witness = useRef<Witness | null>(null)
  useEffect(() => {
    const made = isWitnessed ? new Witness(store.id, setUsers) : null
    witness.current = made
    return () => made?.close()
  }, [isWitnessed, store])
  const isConnected = sync.kind === "live" || sync.kind === "syncing"
  const areSaved = sync.waiting === 0
  useEffect(() => {
    if (isConnected && page)
      witness.current?.want(
        page.entries.map(({ hash }) => hash),
        areSaved,
      )
  }, [isConnected, areSaved, page])

  return (
    <Dialog title={id === null ? "History of the plan" : `History of ${name.current}`} onClose={onClose} isSide>
      {id !== null && !position && <p className="fine">Somebody has deleted this position.</p>}
      {historyProblem && <p className="problem">The history could not be read: {historyProblem}</p>}
      {reading !== null && !historyProblem && (
        <p className="fine" role="status">
          Reading the history… {Math.round(reading * 100)} %
        </p>
      )}
      {id === null && changes !== null && changes > 1 && <TimeTravel store={store} changes={changes} />}
      {page && (
        <ol className="entries">
          {page.entries.map((entry) => (
            <EntryItem
              key={entry.hash}
              entry={entry}
              user={users.get(entry.hash) ?? null}
              isAlone={id !== null}
              current={(deed) => (deed.position === null ? undefined : store.get(deed.position))}
              onRestore={canEdit ? onRestore : null}
              onBringBack={canEdit ? onBringBack : null}
            />
          ))}
        </ol>
      )}
      {page && page.entries.length === 0 && <p className="fine">Nothing has happened yet.</p>}
      {page?.next != null && (
        <button type="button" onClick={() => setCount(page.entries.length + PAGE)}>
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
  onBringBack: ((deleted: readonly Went[]) => void) | null
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
  const subject = isAlone ? "it" : <em>{name}</em>
  if (deed.kind === "replaced")
    return (
      <>
        {deed.rows > 1 ? `merged ${deed.rows} copies of` : "replaced"} {subject}
      </>
    )
  if (deed.kind !== "set")
    return (
      <>
        {deed.kind} {subject}
      </>
    )
  return (
    <>
      {!isAlone && deed.position !== null && (
        <>
          <em>{name}</em>:{" "}
        </>
      )}
      {fieldOf(deed)} <SetText deed={deed} />
    </>
  )
}

function fieldOf({ position, field }: SetField): string {
  if (position !== null) return isField(field) ? labelOf(field).toLowerCase() : field
  return Object.hasOwn(SETTING_LABELS, field) ? `${SETTING_LABELS[field as Setting].toLowerCase()} of the plan` : field
}

/** What a change has done to a field: one value became another, or one of several was kept. */
function SetText({ deed: { old, new: now, settled, restored, nested } }: { deed: SetField }) {
  if (nested) return <>changed</>
  if (restored)
    return (
      <>
        restored <ins>{show(now)}</ins>
      </>
    )
  if (!settled)
    return (
      <>
        <del>{show(old)}</del> <span aria-hidden>→</span>
        <span className="hidden">became</span> <ins>{show(now)}</ins>
      </>
    )
  const over = settled.filter((value) => value !== now).map(show)
  return (
    <>
      {settled.includes(now) && "kept "}
      {now === null ? "cleared" : <ins>{show(now)}</ins>} over <del>{over.join(" and ")}</del>
    </>
  )
}

/** Brings positions back that were deleted, as they were. */
function BringBackButton({ deeds, onBringBack }: { deeds: readonly Went[]; onBringBack: EntryProps["onBringBack"] }) {
  if (!onBringBack || deeds.length === 0) return null
  return (
    <button type="button" className="link" onClick={() => onBringBack(deeds)}>
      Restore {deeds.length === 1 ? deeds[0]?.name || "it" : `all ${deeds.length}`}
    </button>
  )
}

/** Puts the old value back, while another one stands there. */
function RestoreButton({ deed, now, onRestore }: { deed: SetField; now: Position | undefined; onRestore: EntryProps["onRestore"] }) {
  const { field, position, old } = deed
  if (!onRestore || !now || now.entry !== undefined || position === null || !isField(field)) return null
  if (old === null || (field === "budget") !== (typeof old === "number") || shownValue(now, field) === old) return null
  if (field === "designation" && old === "") return null
  return (
    <button type="button" className="link" onClick={() => onRestore(position, field, old)}>
      Restore {show(old)}
    </button>
  )
}

/** The plan as it was: one moves through the changes. */
function TimeTravel({ store, changes }: { store: PlanStore; changes: number }) {
  const [place, setPlace] = useState<number | null>(null)
  const [past, setPast] = useState<Past | null>(null)
  const wanted = useDeferredValue(place)
  /** The place that one is at by now. */
  const goal = useRef<number | null>(null)
  const busy = useRef(false)
  const id = useId()

  // One at a time; of those that one slides over, only the last is read.
  const read = useCallback(async () => {
    if (busy.current) return
    busy.current = true
    for (let asked: number | null = null; goal.current !== null && goal.current !== asked; ) {
      asked = goal.current
      const found = await store.history?.ask("past", { place: asked }).catch(() => null)
      if (goal.current === asked) setPast(found ?? null)
    }
    busy.current = false
  }, [store])
  useEffect(() => {
    goal.current = wanted
    if (wanted === null) setPast(null)
    else void read()
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
            {inPlan(past, pastSum(past))}
            {past.settings.totalBudget !== null && ` of ${inPlan(past, past.settings.totalBudget)}`}
            {unknownInWords(past.positions) && `, ${unknownInWords(past.positions)}`}.{" "}
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
const inPlan = ({ settings }: Past, units: number): string => money(units, settings.currency, settings.unit)
