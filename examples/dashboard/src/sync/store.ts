/** One open plan: its positions, how far it is synced, who is there. What the page shows is a snapshot of this. */

import { next as A } from "@automerge/automerge/slim"
import {
  type DocHandle,
  type DocHandleChangePayload,
  type DocHandleEncodedChangePayload,
  type DocHandleRemoteHeadsPayload,
  decodeHeads,
  encodeHeads,
  type StorageId,
  type UrlHeads,
} from "@automerge/automerge-repo/slim"
import { History } from "../history/client"
import type { Swallowed } from "../history/ledger"
import type { Plan, PlanSeen, Seen } from "../plan/edit"
import { Rows } from "../plan/rows"
import { type PlanDoc, type Position, readPlan, rowsOf, type SettingConflicts, type Settings } from "../plan/schema"
import type { Connection, Refused } from "./connection"
import { type Person, Presence } from "./presence"

/** How the plan stands to the server. */
export interface SyncState {
  kind: "live" | "syncing" | "offline" | "not-allowed"
  /** Changes that the server has not got on its disk. */
  waiting: number
  refused: Refused | null
}

/** What others have just changed: by position, its fields, or null for all of it. */
export interface Glow {
  at: number
  fields: ReadonlySet<string> | null
}

export interface Snapshot {
  positions: readonly Position[]
  /** What the document's heads were when this was so. */
  heads: UrlHeads
  settings: Settings
  settingConflicts: SettingConflicts | null
  sync: SyncState
  people: readonly Person[]
  swallowed: readonly Swallowed[]
  glows: ReadonlyMap<string, Glow>
  /** Changes that the history has read; null: it has not begun. */
  changes: number | null
  /** How far the history is, from 0 to 1; null: it is not reading. */
  reading: number | null
  historyProblem: string | null
}

const GLOW = 2_500

export class PlanStore {
  readonly id: string
  history: History | null = null
  presence: Presence
  #rows: Rows
  #snapshot: Snapshot
  #listeners = new Set<() => void>()
  #frame: number | null = null
  #isOurs = false
  /** There is a change of which we have not been told what it changes. */
  #isSilent = false
  /** The server's heads that this copy has, and the newest that it has said. */
  #acknowledged: A.Heads
  /** What the server had before, the latest first: a browser that ends at once may have kept that and not the newest. */
  #earlier: A.Heads[]
  #server: A.Heads | null = null
  #unsubscribe: () => void
  #start: number

  constructor(
    readonly handle: DocHandle<PlanDoc>,
    private readonly connection: Connection,
    private readonly owner: string,
    name: string,
  ) {
    this.id = handle.documentId
    this.#earlier = readHeads(owner, this.id)
    this.#acknowledged = this.#earlier[0] ?? []
    const doc = handle.doc()
    this.#rows = new Rows(doc)
    const { settings, conflicts } = readPlan(doc)
    this.#snapshot = {
      positions: this.#rows.list,
      heads: handle.heads(),
      settings,
      settingConflicts: conflicts,
      sync: { kind: "offline", waiting: 0, refused: null },
      people: [],
      swallowed: [],
      glows: new Map(),
      changes: null,
      reading: 0,
      historyProblem: null,
    }
    handle.on("heads-changed", this.#onHeads)
    handle.on("change", this.#onChange)
    handle.on("remote-heads", this.#onRemoteHeads)
    this.#unsubscribe = connection.subscribe(() => this.#readHeads())
    this.presence = new Presence(handle, name, (people) => this.#update({ people }))
    this.#readHeads()
    // After the list is on the screen.
    this.#start = window.setTimeout(() => this.#openHistory(), 300)
  }

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  getSnapshot = (): Snapshot => this.#snapshot

  /** The document, as it is edited: what is changed by way of this is ours. (A handle does not tell whose a change is.) */
  readonly plan: Plan = {
    doc: () => this.handle.doc(),
    change: (callback, options) => this.#write(() => this.handle.change(callback, options)),
    changeAt: (heads, callback, options) => this.#write(() => this.handle.changeAt(heads, callback, options)),
  }

  #write<T>(write: () => T): T {
    this.#isOurs = true
    this.#isSilent = false
    try {
      return write()
    } finally {
      // The repository sends a change when it tells of one, and of this one nothing is to be seen: it would wait for the next.
      if (this.#isSilent) {
        const doc = this.handle.doc()
        this.handle.emit("change", { handle: this.handle, doc, patches: [], patchInfo: { before: doc, after: doc, source: "change" } })
      }
      this.#isOurs = false
    }
  }

  get(id: string): Position | undefined {
    return this.#rows.get(id)
  }

  /** A position with all of its conflicts as it is at this moment, which may not be on the screen yet. */
  look(id: string): Seen | null {
    this.#rows.suspect(this.handle.doc(), [id])
    const position = this.#rows.get(id)
    return position ? { position, heads: this.handle.heads() } : null
  }

  /** The settings as they are at this moment. */
  lookAtPlan(): PlanSeen {
    return { ...readPlan(this.handle.doc()), heads: this.handle.heads() }
  }

  close(): void {
    window.clearTimeout(this.#start)
    if (this.#frame !== null) cancelAnimationFrame(this.#frame)
    this.handle.off("heads-changed", this.#onHeads)
    this.handle.off("change", this.#onChange)
    this.handle.off("remote-heads", this.#onRemoteHeads)
    this.#unsubscribe()
    this.presence.close()
    this.history?.close()
    this.#listeners.clear()
  }

  #openHistory(): void {
    this.history = new History(this.handle.doc(), {
      read: (changes, swallowed) => this.#update({ changes, swallowed, historyProblem: null }),
      conflicts: (ids) => {
        this.#rows.suspect(this.handle.doc(), ids)
        this.#update({ positions: this.#rows.list })
      },
      progress: (reading) => this.#update({ reading }),
      failed: (historyProblem) => {
        // Nobody else says which positions have conflicts.
        const doc = this.handle.doc()
        this.#rows.suspect(doc, Object.keys(rowsOf(doc)))
        this.#update({ positions: this.#rows.list, historyProblem })
      },
    })
  }

  #onChange = ({ doc, patches }: DocHandleChangePayload<PlanDoc>): void => {
    this.#isSilent = false
    const touched = this.#rows.update(doc, patches)
    const isOurs = this.#isOurs
    let { glows } = this.#snapshot
    if (!isOurs && touched.size > 0 && touched.size <= 200) {
      const at = performance.now()
      const fresh = [...glows].filter(([, glow]) => at - glow.at < GLOW)
      for (const [id, fields] of touched) if (this.#rows.get(id)) fresh.push([id, { at, fields }])
      glows = new Map(fresh)
    }
    this.#snapshot = { ...this.#snapshot, positions: this.#rows.list, glows }
    this.#tell(isOurs)
  }

  /** There is a change, also one of which nothing is to be seen: an edit of a position that is gone. */
  #onHeads = ({ doc }: DocHandleEncodedChangePayload<PlanDoc>): void => {
    this.#isSilent = true
    this.history?.feed(doc)
    // Automerge does not report every change among losing values.
    const { settings, conflicts } = readPlan(doc)
    this.#snapshot = { ...this.#snapshot, heads: encodeHeads(A.getHeads(doc)), settings, settingConflicts: conflicts }
    this.#resync()
  }

  #onRemoteHeads = ({ storageId, heads }: DocHandleRemoteHeadsPayload): void => {
    // Other tabs tell of theirs as well.
    if (storageId !== this.connection.storageId) return
    this.#server = decodeHeads(heads)
    this.#resync()
  }

  /** What the server has said before anybody listened. */
  #readHeads(): void {
    const { storageId } = this.connection
    const said = storageId === null ? undefined : this.handle.getSyncInfo(storageId as StorageId)
    if (said) this.#server = decodeHeads(said.lastHeads)
    this.#resync()
  }

  #resync(): void {
    const doc = this.handle.doc()
    const isBehind = this.#server !== null && !has(doc, this.#server)
    if (this.#server && !isBehind) {
      this.#acknowledged = this.#server
      saveHeads(this.owner, this.id, this.#server)
    }
    // Heads of another copy (the browser's storage was cleared in part) say nothing about this one.
    const known = has(doc, this.#acknowledged) ? this.#acknowledged : (this.#earlier.find((heads) => has(doc, heads)) ?? [])
    const waiting = A.getChangesMetaSince(doc, known).length
    const { isOpen, refused } = this.connection
    const kind = refused ? "not-allowed" : !isOpen ? "offline" : waiting > 0 || isBehind ? "syncing" : "live"
    const { sync } = this.#snapshot
    if (sync.kind !== kind || sync.waiting !== waiting || sync.refused !== refused) {
      this.#snapshot = { ...this.#snapshot, sync: { kind, waiting, refused } }
    }
    this.#tell(false)
  }

  #update(part: Partial<Snapshot>): void {
    this.#snapshot = { ...this.#snapshot, ...part }
    this.#tell(false)
  }

  /** What we do is seen at once; what comes from elsewhere, once in a frame. */
  #tell(isUrgent: boolean): void {
    if (isUrgent || document.hidden) {
      if (this.#frame !== null) cancelAnimationFrame(this.#frame)
      this.#frame = null
      for (const listener of this.#listeners) listener()
      return
    }
    this.#frame ??= requestAnimationFrame(() => {
      this.#frame = null
      for (const listener of this.#listeners) listener()
    })
  }
}

/** (`A.hasHeads` makes each of these changes again, which takes long for a large one.) */
function has(doc: A.Doc<unknown>, heads: A.Heads): boolean {
  const missing = new Set(A.getMissingDeps(doc, heads))
  return !heads.some((head) => missing.has(head))
}

const headsKey = (owner: string, id: string) => `happierwork.heads.${owner}.${id}`
const KEPT = 3

function readHeads(owner: string, id: string): A.Heads[] {
  try {
    const read = JSON.parse(localStorage.getItem(headsKey(owner, id)) ?? "[]") as unknown
    return Array.isArray(read) && read.every(Array.isArray) ? (read as A.Heads[]) : []
  } catch {
    return []
  }
}

function saveHeads(owner: string, id: string, heads: A.Heads): void {
  const before = readHeads(owner, id)
  if (JSON.stringify(before[0]) === JSON.stringify(heads)) return
  localStorage.setItem(headsKey(owner, id), JSON.stringify([heads, ...before].slice(0, KEPT)))
}
