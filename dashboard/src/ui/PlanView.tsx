/** One plan: its figures, its list, and everything that is done to it. */
import { decodeHeads, encodeHeads, type UrlHeads } from "@automerge/automerge-repo/slim"
import { useCallback, useDeferredValue, useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react"
import type { Swallowed, Went } from "../history/deeds"
import { toCsv } from "../plan/csv"
import {
  add,
  describe,
  type NewPosition,
  type PlanSeen,
  remove,
  restore,
  type Seen,
  set,
  settleSetting,
  showHidden,
  take,
} from "../plan/edit"
import { newId } from "../plan/id"
import { unitName } from "../plan/money"
import { type Field, type FieldValue, isUntouched, type Position, SETTINGS, type Setting, shownValue } from "../plan/schema"
import { distinct, type Filter, filtered, isField, LABELS, SETTING_LABELS, type Sort, sorted, used } from "../plan/table"
import { dropLost, keepLost, type Lost, readLost } from "../sync/lost"
import type { PlanInfo } from "../sync/plans"
import type { Cell } from "../sync/presence"
import { planKey } from "../sync/remembered"
import type { Session } from "../sync/session"
import type { SyncState } from "../sync/standing"
import type { PlanStore } from "../sync/store"
import { AddForm } from "./AddForm"
import { Attention, type LostHere } from "./Attention"
import { readInput } from "./CellEditor"
import { ConflictDialog } from "./ConflictDialog"
import { BOTH_KEPT, fieldEdits } from "./edits"
import { Grid } from "./Grid"
import { HistoryPanel } from "./HistoryPanel"
import { ImportDialog } from "./ImportDialog"
import { Logo } from "./Logo"
import { useNewer } from "./newer"
import { People } from "./People"
import { PlanDialog } from "./PlanDialog"
import { PlanMenu } from "./PlanMenu"
import { Summary } from "./Summary"
import { SyncBadge } from "./SyncBadge"
import { type Note, noted, Toasts } from "./Toast"
import { Toolbar } from "./Toolbar"
import { UserMenu } from "./UserMenu"

interface Props {
  store: PlanStore
  plans: readonly PlanInfo[]
  /** Changes that the server has not got, of all plans. */
  waiting: ReadonlyMap<string, number>
  session: Session
  name: string
  isViewer: boolean
  /** It was deleted, or we may not see it any more. */
  isGone: boolean
  onOpen: (id: string) => void
  onCreate: () => void
  onName: (name: string) => void
  onLogout: () => void
}

/** What lies over the list. */
type Open =
  | { kind: "conflict"; id: string; field: Field }
  | { kind: "setting"; key: Setting }
  | { kind: "history"; id: string | null }
  | { kind: "import"; text: string | null }
  | { kind: "settings"; before: PlanSeen }

const NO_FILTER: Filter = { search: "", department: null, location: null }
const dismissedKey = ({ id, standing }: PlanStore) => planKey("dismissed", standing.owner, id)

function readDismissed(store: PlanStore): ReadonlySet<string> {
  try {
    return new Set(JSON.parse(localStorage.getItem(dismissedKey(store)) ?? "[]") as string[])
  } catch {
    return new Set()
  }
}

export function PlanView({ store, plans, waiting, session, name, isViewer, isGone, onOpen, onCreate, onName, onLogout }: Props) {
  const snapshot = useSyncExternalStore(store.subscribe, store.getSnapshot)
  const { positions, settings, sync, people, glows } = snapshot
  const isNewer = useNewer()
  const [filter, setFilter] = useState(NO_FILTER)
  const [sort, setSort] = useState<Sort | null>(null)
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set())
  const [open, setOpen] = useState<Open | null>(null)
  const [isAdding, setAdding] = useState(false)
  const [notes, setNotes] = useState<readonly Note[]>([])
  const [dismissed, setDismissed] = useState(() => readDismissed(store))
  const whose = store.standing.owner
  const [lost, setLost] = useState(() => readLost(whose, store.id))
  const noteKeys = useRef(0)
  const { plan } = store
  const who = name || "Somebody"
  const canEdit = !isViewer && !isGone
  // What somebody may not change here does not go to the server, however long one waits.
  const isKept = isGone || (isViewer && sync.waiting > 0 && sync.kind !== "offline")
  const badge: SyncState = isKept && sync.kind !== "not-allowed" ? { ...sync, kind: "not-allowed", refused: "not-allowed" } : sync

  // Of plans that are gone, or may only be read, nothing goes out: whoever opens them is told.
  const others = plans.filter(({ id, access }) => id !== store.id && access !== "read" && waiting.has(id)).length

  useEffect(() => {
    document.title = settings.name ? `${settings.name} – Happierwork` : "Happierwork"
  }, [settings.name])

  // The list may lag behind the typing, never the typing behind the list.
  const wanted = useDeferredValue(filter)
  const [edited, setEdited] = useState<string | null>(null)
  const shown = useMemo(() => sorted(filtered(positions, wanted, edited), sort), [positions, wanted, edited, sort])
  // What cannot be seen is not selected: nobody deletes what is hidden by a filter, or gone.
  const chosen = useMemo(() => {
    if (selected.size === 0) return selected
    const visible = new Set(shown.map((position) => position.id))
    const there = new Set([...selected].filter((id) => visible.has(id)))
    return there.size === selected.size ? selected : there
  }, [selected, shown])

  const say = useCallback((text: string, action?: Note["action"]) => {
    noteKeys.current += 1
    const note = { key: noteKeys.current, text, ...(action && { action }) }
    setNotes((before) => noted(before, note))
  }, [])
  const endNote = useCallback((note: Note) => setNotes((before) => before.filter((other) => other !== note)), [])
  const change = useCallback((part: Partial<Filter>) => setFilter((before) => ({ ...before, ...part })), [])

  const names = (rows: readonly { designation: string }[]) => (rows.length === 1 ? `“${rows[0]?.designation}”` : `${rows.length} positions`)
  const onRemove = (ids: string[]) => {
    const rows = ids.flatMap((id): Position[] => {
      const position = store.get(id)
      return position ? [position] : []
    })
    if (rows.length === 0) return
    const before = plan.heads()
    remove(plan, ids, rows.length === 1 ? (rows[0]?.designation ?? "") : `${rows.length} positions`, who)
    const after = plan.heads()
    setSelected(new Set())
    const deleted = rows.map(({ id }) => ({ id, heads: before }))
    say(`Deleted ${names(rows)}.`, { label: "Undo", run: () => restore(plan, deleted, who, after) })
  }
  const { onSet, onSettle } = fieldEdits(store, who, say)
  const onLost = useCallback(
    ({ position, heads }: Seen, field: Field, text: string | null) => {
      if (text === null) return say(`Somebody deleted “${position.designation}” while you were in it.`)
      const { id, designation } = position
      setLost(keepLost(whose, store.id, { key: newId(), id, name: designation, heads: decodeHeads(heads), field, text }))
      say(`Somebody deleted “${designation}” while you were changing it: what you typed is kept above the list.`)
    },
    [store, whose, say],
  )
  /** Heads at which a deleted position is whole: those before its deletion, with the edits that the deletion swallowed. */
  const wholeAt = (id: string, before: readonly string[]): UrlHeads => {
    const edits = snapshot.swallowed.filter((edit) => edit.position === id).flatMap(({ heads }) => heads)
    return encodeHeads([...new Set([...before, ...edits])])
  }
  const onDropLost = (item: Lost) => setLost(dropLost(whose, store.id, item))
  const onTakeLost = async ({ lost: item, input }: LostHere) => {
    const { id, field } = item
    // Others may have changed more than was seen before they deleted it.
    const before = await store.history?.ask("beforeDeletion", { position: id }).catch(() => null)
    const typed = "value" in input ? { field, value: input.value } : null
    if (store.get(id)) {
      if (typed) set(plan, id, field, typed.value, who)
    } else {
      const missing = restore(plan, [{ id, heads: wholeAt(id, before ?? item.heads), ...(typed && { typed }) }], who)
      if (missing.length > 0) return say(`“${item.name}” cannot be restored: this copy of the plan does not have it.`)
    }
    // What cannot be taken stays to be read.
    if (typed) onDropLost(item)
  }
  const onImport = (rows: NewPosition[]) => {
    setOpen(null)
    const ids = add(plan, rows, who)
    const there = () => ids.flatMap((id) => store.get(id) ?? [])
    const made = new Map(there().map((position) => [position.id, position]))
    const undo = () => {
      // What others have worked on since is theirs as well.
      const isOurs = (position: Position) => isUntouched(made.get(position.id) as Position, position)
      const ours = there().filter(isOurs)
      const kept = there().filter((position) => !isOurs(position))
      const gone = ours.map(({ id }) => id)
      if (gone.length > 0) remove(plan, gone, names(ours), who)
      const [has, stays] = kept.length === 1 ? ["has", "stays"] : ["have", "stay"]
      if (kept.length > 0) say(`${names(kept)} ${has} been changed since, and ${stays}.`)
    }
    say(`Added ${names(rows)}.`, { label: "Undo", run: undo })
  }
  const onExport = (rows: readonly Position[]) => {
    const url = URL.createObjectURL(new Blob([toCsv(rows)], { type: "text/csv;charset=utf-8" }))
    const link = document.createElement("a")
    link.href = url
    link.download = `${(settings.name || "plan").replace(/[^\p{L}\p{N}]+/gu, "-")}.csv`
    link.click()
    window.setTimeout(() => URL.revokeObjectURL(url), 10_000)
  }
  const onShare = async () => {
    const link = new URL(`#${store.id}`, location.href).href
    try {
      await navigator.clipboard.writeText(link)
      say("The link is in the clipboard.")
    } catch {
      window.prompt("The link to this plan:", link)
    }
  }
  const onRestore = ({ position: id, name, field, heads }: Swallowed) => {
    if (store.get(id)) return take(plan, id, field, encodeHeads(heads), who)
    restore(plan, [{ id, heads: wholeAt(id, heads) }], who)
    say(`Restored “${name}”.`)
  }
  const onBringBack = (deleted: readonly Went[]) => {
    restore(
      plan,
      deleted.map(({ position: id, heads }) => ({ id, heads: wholeAt(id, heads) })),
      who,
    )
  }
  const onDismiss = ({ key }: Swallowed) => {
    const next = new Set([...dismissed, key])
    localStorage.setItem(dismissedKey(store), JSON.stringify([...next].slice(-500)))
    setDismissed(next)
  }
  const onCell = useCallback((cell: Cell | null) => store.presence.enter(cell), [store])
  const onConflict = useCallback((id: string, field: Field) => setOpen({ kind: "conflict", id, field }), [])
  const close = useCallback(() => setOpen(null), [])

  const [departments, locations] = useMemo(() => [distinct(positions, "department"), distinct(positions, "location")], [positions])
  const subject = open && "id" in open && open.id !== null ? store.get(open.id) : undefined
  const there = useMemo(() => new Map(positions.map((position) => [position.id, position])), [positions])
  const swallowed = useMemo(
    () =>
      snapshot.swallowed.flatMap((edit) => {
        const position = there.get(edit.position) ?? null
        const isThere = position !== null && isField(edit.field) && !edit.nested && shownValue(position, edit.field) === edit.value
        return dismissed.has(edit.key) || isThere ? [] : [{ edit, position }]
      }),
    [snapshot.swallowed, there, dismissed],
  )
  const lostHere = useMemo(
    () =>
      lost.map(
        (item): LostHere => ({
          lost: item,
          input: readInput(item.field, item.text, settings),
          position: there.get(item.id) ?? null,
        }),
      ),
    [lost, there, settings],
  )
  const isFiltered = filter.search !== "" || filter.department !== null || filter.location !== null

  return (
    <div className="page">
      {/* biome-ignore lint/a11y/useValidAnchor: a link to a place on this page, whose address names the plan */}
      <a
        className="skip"
        href="#list"
        onClick={(event) => {
          // The address is the plan's.
          event.preventDefault()
          document.getElementById("list")?.focus()
        }}
      >
        Go to the list
      </a>
      <header className="top">
        <Logo />
        <h1>
          <PlanMenu
            plans={plans}
            waiting={waiting}
            current={store.id}
            name={settings.name}
            canEdit={canEdit}
            canCreate={session.user?.role !== "viewer"}
            onOpen={onOpen}
            onCreate={onCreate}
            onSettings={() => setOpen({ kind: "settings", before: store.lookAtPlan() })}
            onShare={() => void onShare()}
          />
        </h1>
        <span className="spring" />
        <People people={people} />
        <SyncBadge sync={badge} others={others} />
        <UserMenu session={session} name={name} onName={onName} onLogout={onLogout} />
      </header>
      <main>
        {isViewer && (
          <p className="banner">
            You may look at this plan, but not change it
            {session.user ? `: you are logged in as ${session.user.name}${session.user.role === "viewer" ? ", a viewer" : ""}` : ""}. Who
            owns it can let you.
          </p>
        )}
        {isNewer && (
          <p className="banner">
            There is a newer version of this page.{" "}
            <button type="button" className="link" onClick={() => location.reload()}>
              Reload
            </button>
          </p>
        )}
        {isGone && (
          <p className="banner problem" role="alert">
            This plan is not on the server any more, or you may not see it. What you see is the copy on this device.
          </p>
        )}
        {sync.kind === "not-allowed" && (
          <p className="banner problem" role="alert">
            {sync.refused === "not-logged-in" ? (
              <>
                The server does not know you any more; your changes are kept on this device.{" "}
                <button type="button" className="link" onClick={() => location.reload()}>
                  Log in again
                </button>
              </>
            ) : (
              "The server does not let you into this plan any more. What you see is the copy on this device."
            )}
          </p>
        )}
        <Summary
          positions={positions}
          settings={settings}
          filter={filter}
          onFilter={change}
          onSettings={canEdit ? () => setOpen({ kind: "settings", before: store.lookAtPlan() }) : null}
        />
        <Attention
          positions={positions}
          settings={snapshot.settingConflicts}
          lost={lostHere}
          swallowed={swallowed}
          hidden={snapshot.hidden}
          historyProblem={snapshot.historyProblem}
          canEdit={canEdit}
          onConflict={onConflict}
          onSetting={(key) => setOpen({ kind: "setting", key })}
          onRestore={onRestore}
          onDismiss={onDismiss}
          onTakeLost={(here) => void onTakeLost(here)}
          onDropLost={onDropLost}
          onShowHidden={() => showHidden(plan, who)}
        />
        <Toolbar
          all={positions}
          shown={shown}
          selected={chosen}
          settings={settings}
          filter={filter}
          canEdit={canEdit}
          onFilter={change}
          onAdd={() => setAdding(true)}
          onImport={() => setOpen({ kind: "import", text: null })}
          onExport={onExport}
          onHistory={() => setOpen({ kind: "history", id: null })}
          onRemove={onRemove}
          onDeselect={() => setSelected(new Set())}
        />
        {isAdding && canEdit && (
          <AddForm
            settings={settings}
            onClose={() => setAdding(false)}
            onAdd={(position) => {
              add(plan, [position], who)
              say(`Added “${position.designation}”.`)
            }}
          />
        )}
        <div id="list" tabIndex={-1}>
          {(shown.length > 0 || edited !== null) && (
            <Grid
              positions={shown}
              heads={snapshot.heads}
              settings={settings}
              people={people}
              glows={glows}
              selected={chosen}
              sort={sort}
              canEdit={canEdit}
              onSelected={setSelected}
              onSort={setSort}
              onSet={onSet}
              look={(id) => store.look(id)}
              onEditing={setEdited}
              onConflict={onConflict}
              onHistory={(id) => setOpen({ kind: "history", id })}
              onRemove={onRemove}
              onCell={onCell}
              onTable={(text) => setOpen({ kind: "import", text })}
              onLost={onLost}
            />
          )}
          {shown.length === 0 && edited === null && (
            <div className="empty">
              {isFiltered && positions.length > 0 ? (
                <>
                  <p>No position is like that.</p>
                  <button type="button" onClick={() => setFilter(NO_FILTER)}>
                    Show all positions
                  </button>
                </>
              ) : (
                <>
                  <p>This plan has no positions yet.</p>
                  {canEdit && (
                    <p className="empty-actions">
                      <button type="button" className="primary" onClick={() => setAdding(true)}>
                        Add the first one
                      </button>
                      <button type="button" onClick={() => setOpen({ kind: "import", text: null })}>
                        Import a table
                      </button>
                    </p>
                  )}
                </>
              )}
            </div>
          )}
        </div>
        <datalist id="all-department">
          {departments.map(({ key, name }) => (
            <option key={key} value={name} />
          ))}
        </datalist>
        <datalist id="all-location">
          {locations.map(({ key, name }) => (
            <option key={key} value={name} />
          ))}
        </datalist>
      </main>
      {open?.kind === "conflict" && subject && (
        <ConflictDialog
          store={store}
          title={`${LABELS[open.field]} of ${subject.designation}`}
          value={shownValue(subject, open.field)}
          setBy={subject.updatedBy}
          conflict={subject.conflicts?.[open.field] ?? null}
          onSettle={canEdit ? (operation) => onSettle(open.id, open.field, operation) : null}
          onClose={close}
        />
      )}
      {open?.kind === "setting" && (
        <ConflictDialog
          store={store}
          title={`${SETTING_LABELS[open.key]} of the plan`}
          value={settings[open.key]}
          setBy=""
          conflict={snapshot.settingConflicts?.[open.key] ?? null}
          {...(open.key === "unit" && { show: (unit: FieldValue) => unitName(Number(unit)) || "single" })}
          onSettle={canEdit ? (operation) => settleSetting(plan, open.key, operation, who) : null}
          onClose={close}
        />
      )}
      {open?.kind === "history" && (
        <HistoryPanel
          store={store}
          snapshot={snapshot}
          id={open.id}
          position={subject}
          canEdit={canEdit}
          isWitnessed={session.user !== null}
          onRestore={(id, field, value) => set(plan, id, field, value, who)}
          onBringBack={onBringBack}
          onClose={close}
        />
      )}
      {open?.kind === "import" && (
        <ImportDialog text={open.text} settings={settings} used={used(positions)} onImport={onImport} onClose={close} />
      )}
      {open?.kind === "settings" && (
        <PlanDialog
          title="The plan"
          settings={open.before.settings}
          button="Save"
          onSave={(next) => {
            setOpen(null)
            const changed = SETTINGS.filter((key) => next[key] !== open.before.settings[key])
            const isContested = describe(plan, Object.fromEntries(changed.map((key) => [key, next[key]])), who, open.before)
            if (isContested) say(BOTH_KEPT)
          }}
          onClose={close}
        />
      )}
      <Toasts notes={notes} onEnd={endNote} />
    </div>
  )
}
