/** State of the open plan: positions, sync state, collaborators, history. The page renders a snapshot of it. */

import { next as A } from "@automerge/automerge/slim"
import {
  type DocHandle,
  type DocHandleChangePayload,
  type DocHandleEncodedChangePayload,
  decodeHeads,
  encodeHeads,
  type UrlHeads,
} from "@automerge/automerge-repo/slim"
import { HistoryClient } from "../history/client"
import type { DiscardedEdit } from "../history/events"
import { isArchived } from "../plan/archive"
import type { PlanColumns } from "../plan/columns"
import { CommentIndex, type CommentsByPosition } from "../plan/comment-index"
import { type DepartmentBudget, type DepartmentBudgetsAtHeads, readDepartmentBudgets } from "../plan/department-budgets"
import { hiddenRows, type Plan, type PositionAtHeads, type SettingsAtHeads } from "../plan/edit"
import { containsHeads } from "../plan/heads"
import type { ColumnAtHeads } from "../plan/own-columns"
import { PositionIndex } from "../plan/position-index"
import { readSavedViews, type SavedView } from "../plan/saved-views"
import { type PlanDoc, type Position, readSettingsState, rowsOf, type SettingConflicts, type Settings } from "../plan/schema"
import { type NamedVersion, readVersions } from "../plan/versions"
import { databaseName } from "./database-name"
import { requestPersistentStorage } from "./local-storage"
import { type Person, Presence } from "./presence"
import { successorOf } from "./successor"
import type { SyncState, SyncStatus } from "./sync-status"
import { nextTask } from "./tasks"
import { UndoStack } from "./undo-stack"

/** A recent change by another user. `fields`: the changed fields; `null` for the whole row. */
export interface Highlight {
  at: number
  fields: ReadonlySet<string> | null
}

export interface PlanSnapshot {
  positions: readonly Position[]
  columns: PlanColumns
  /** Heads of the document for this snapshot. */
  heads: UrlHeads
  settings: Settings
  isArchived: boolean
  /** Id of the document in which the plan goes on without its history. */
  successor: string | null
  settingConflicts: SettingConflicts | null
  departmentBudgets: readonly DepartmentBudget[]
  savedViews: readonly SavedView[]
  versions: readonly NamedVersion[]
  comments: CommentsByPosition
  /** Number of rows in losing position maps. */
  hiddenRows: number
  sync: SyncState
  people: readonly Person[]
  discardedEdits: readonly DiscardedEdit[]
  highlights: ReadonlyMap<string, Highlight>
  /** Number of changes that the history has read; `null` before it starts. */
  changes: number | null
  /** Progress of the history from 0 to 1; `null` when it is idle. */
  reading: number | null
  historyProblem: string | null
}

const HIGHLIGHT_MS = 2_500
/** Number of changes of another document that are applied without a pause. */
const CHANGES_PER_TASK = 20

export class PlanStore {
  readonly id: string
  history: HistoryClient | null = null
  presence: Presence
  readonly undoStack: UndoStack
  #rows: PositionIndex
  #comments: CommentIndex
  #snapshot: PlanSnapshot
  #listeners = new Set<() => void>()
  #frame: number | null = null
  #isLocalChange = false
  /** A large action is being written. The list is rendered at the end. */
  #isBulk = false
  /** The document has a change that has not been reported as patches. */
  #hasUnreportedChange = false
  #unsubscribe: () => void
  #start: number
  #isClosed = false

  constructor(
    readonly handle: DocHandle<PlanDoc>,
    readonly syncStatus: SyncStatus,
    name: string,
  ) {
    this.id = handle.documentId
    const doc = handle.doc()
    this.#rows = new PositionIndex(doc)
    this.#comments = new CommentIndex(doc)
    const { settings, conflicts } = readSettingsState(doc)
    this.#snapshot = {
      positions: this.#rows.list,
      columns: this.#rows.columns,
      heads: handle.heads(),
      settings,
      isArchived: isArchived(doc),
      successor: successorOf(doc),
      settingConflicts: conflicts,
      departmentBudgets: readDepartmentBudgets(doc),
      savedViews: readSavedViews(doc),
      versions: readVersions(doc),
      comments: this.#comments.all,
      hiddenRows: hiddenRows(this.plan).length,
      sync: syncStatus.state,
      people: [],
      discardedEdits: [],
      highlights: new Map(),
      changes: null,
      reading: 0,
      historyProblem: null,
    }
    handle.on("heads-changed", this.#onHeads)
    handle.on("change", this.#onChange)
    this.#unsubscribe = syncStatus.subscribe(() => this.#update({ sync: syncStatus.state }))
    this.undoStack = new UndoStack(this.plan, syncStatus.owner, this.id, (work) => this.#runBulk(work))
    this.presence = new Presence(handle, name, (people) => this.#update({ people }))
    // The history starts after the list has been rendered.
    this.#start = window.setTimeout(() => void this.#openHistory(), 300)
  }

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  getSnapshot = (): PlanSnapshot => this.#snapshot

  /** The document for edits. Changes made through it count as local; the handle does not say who made a change. */
  readonly plan: Plan = {
    doc: () => this.handle.doc(),
    heads: () => this.handle.heads(),
    change: (callback, options) => this.#write(() => this.handle.change(callback, options)),
    changeAt: (heads, callback, options) => this.#write(() => this.handle.changeAt(heads, callback, options)),
    update: (callback) => this.#write(() => this.handle.update(callback)),
  }

  #write<T>(write: () => T): T {
    requestPersistentStorage()
    this.#isLocalChange = true
    this.#hasUnreportedChange = false
    try {
      return write()
    } finally {
      this.#reportChange()
      this.#isLocalChange = false
    }
  }

  /** The repository sends a change when the handle emits it. A change without patches would wait for the next one. */
  #reportChange(): void {
    if (!this.#hasUnreportedChange) return
    const doc = this.handle.doc()
    this.handle.emit("change", { handle: this.handle, doc, patches: [], patchInfo: { before: doc, after: doc, source: "change" } })
  }

  /** Writes a large action. Meanwhile the page does not render the list after each of its changes. */
  async #runBulk<T>(work: () => Promise<T>): Promise<T> {
    this.#isBulk = true
    try {
      return await work()
    } finally {
      this.#isBulk = false
      this.#update({ ...this.#readSettings(), positions: this.#rows.list })
    }
  }

  /**
   * Applies changes of another document of the family. They are not the user's own actions. Changes that the document has already are left
   * out.
   */
  applyChanges(changes: readonly A.Change[]): Promise<void> {
    const portions: A.Change[][] = []
    for (let at = 0; at < changes.length; at += CHANGES_PER_TASK) portions.push(changes.slice(at, at + CHANGES_PER_TASK))
    requestPersistentStorage()
    return this.#runBulk(async () => {
      for (const portion of portions) {
        this.#hasUnreportedChange = false
        this.handle.update((doc) => A.applyChanges(doc, portion)[0])
        this.#reportChange()
        await nextTask()
      }
    })
  }

  get(id: string): Position | undefined {
    return this.#rows.get(id)
  }

  /** The current version of a position with its conflicts, which may not be rendered yet. */
  readPosition(id: string): PositionAtHeads | null {
    this.#rows.checkConflicts(this.handle.doc(), [id])
    const position = this.#rows.get(id)
    return position ? { position, heads: this.handle.heads() } : null
  }

  /** The current settings, which may not be rendered yet. */
  readSettings(): SettingsAtHeads {
    return { ...readSettingsState(this.handle.doc()), heads: this.handle.heads() }
  }

  /** The current budgets of departments, which may not be rendered yet. */
  readDepartmentBudgets(): DepartmentBudgetsAtHeads {
    return { budgets: readDepartmentBudgets(this.handle.doc()), heads: this.handle.heads() }
  }

  /** A column as it is now, which may not be rendered yet. `null` for a new one. */
  readColumn(key: string | null): ColumnAtHeads {
    this.#rows.checkColumns(this.handle.doc())
    return { column: this.#rows.columns.all.find((column) => column.key === key) ?? null, heads: this.handle.heads() }
  }

  /** Whether this copy of the document has all changes up to these heads. */
  contains(heads: UrlHeads): boolean {
    return containsHeads(this.handle.doc(), decodeHeads(heads))
  }

  close(): void {
    this.#isClosed = true
    window.clearTimeout(this.#start)
    if (this.#frame !== null) cancelAnimationFrame(this.#frame)
    this.handle.off("heads-changed", this.#onHeads)
    this.handle.off("change", this.#onChange)
    this.#unsubscribe()
    this.presence.close()
    this.undoStack.close()
    this.history?.close()
    this.#listeners.clear()
  }

  async #openHistory(): Promise<void> {
    // The worker loads what is stored.
    await this.syncStatus.whenStored()
    if (this.#isClosed) return
    const place = { database: databaseName(this.syncStatus.owner), document: this.id }
    this.history = new HistoryClient(place, () => this.handle.doc(), {
      loaded: (changes, discardedEdits) => this.#update({ changes, discardedEdits, historyProblem: null }),
      conflicts: (ids) => {
        this.#rows.checkConflicts(this.handle.doc(), ids)
        // A losing row may have comments that the shown one does not have.
        this.#comments.check(this.handle.doc(), ids)
        this.#update({ positions: this.#rows.list, comments: this.#comments.all })
      },
      progress: (reading) => this.#update({ reading }),
      failed: (historyProblem) => {
        // Without the history, conflicts of all positions must be read here.
        const doc = this.handle.doc()
        this.#rows.checkConflicts(doc, Object.keys(rowsOf(doc)))
        this.#update({ positions: this.#rows.list, historyProblem })
      },
    })
  }

  #onChange = ({ doc, patches }: DocHandleChangePayload<PlanDoc>): void => {
    this.#hasUnreportedChange = false
    const isLocal = this.#isLocalChange
    const touched = this.#rows.applyPatches(doc, patches, isLocal)
    this.#comments.applyPatches(doc, patches)
    if (this.#isBulk) return
    let { highlights } = this.#snapshot
    if (!isLocal && touched.size > 0 && touched.size <= 200) {
      const at = performance.now()
      const fresh = [...highlights].filter(([, highlight]) => at - highlight.at < HIGHLIGHT_MS)
      for (const [id, fields] of touched) if (this.#rows.get(id)) fresh.push([id, { at, fields }])
      highlights = new Map(fresh)
    }
    this.#snapshot = { ...this.#snapshot, positions: this.#rows.list, comments: this.#comments.all, highlights }
    this.#notify(isLocal)
  }

  /** Called for every change, also for those without visible effect, such as an edit of a deleted position. */
  #onHeads = ({ doc }: DocHandleEncodedChangePayload<PlanDoc>): void => {
    this.#hasUnreportedChange = true
    this.history?.update(doc)
    if (!this.#isBulk) this.#update(this.#readSettings())
  }

  #readSettings(): Pick<
    PlanSnapshot,
    | "positions"
    | "columns"
    | "heads"
    | "settings"
    | "isArchived"
    | "successor"
    | "settingConflicts"
    | "departmentBudgets"
    | "savedViews"
    | "versions"
    | "comments"
    | "hiddenRows"
  > {
    const doc = this.handle.doc()
    // Automerge does not report every change of a losing value.
    this.#comments.check(doc)
    this.#rows.checkColumns(doc)
    const { settings, conflicts } = readSettingsState(doc)
    return {
      positions: this.#rows.list,
      columns: this.#rows.columns,
      heads: encodeHeads(A.getHeads(doc)),
      settings,
      isArchived: isArchived(doc),
      successor: successorOf(doc),
      settingConflicts: conflicts,
      departmentBudgets: readDepartmentBudgets(doc),
      savedViews: readSavedViews(doc),
      versions: readVersions(doc),
      comments: this.#comments.all,
      hiddenRows: hiddenRows(this.plan).length,
    }
  }

  #update(part: Partial<PlanSnapshot>): void {
    this.#snapshot = { ...this.#snapshot, ...part }
    this.#notify(false)
  }

  /** Local changes render immediately; remote changes render once per frame. */
  #notify(isUrgent: boolean): void {
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
