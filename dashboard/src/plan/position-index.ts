/** Sorted list of positions, updated from patches: an edit costs one row, not all of them. */
import type { next as A } from "@automerge/automerge/slim"
import { PlanColumns } from "./columns"
import { newestFirst, patchSorted } from "./newest-first"
import { readColumns } from "./own-columns"
import { type Position, readConflicts, readPosition, rowAt, rowsOf } from "./schema"

/** Number of changed positions up to which the sorted list is patched instead of sorted again. */
const MAX_PATCHED = 200

export class PositionIndex {
  #byId = new Map<string, Position>()
  /** Rows with a possible conflict. Automerge does not report every change of a losing value. */
  #conflictCandidates = new Set<string>()
  #list: readonly Position[] | null = null
  /** The positions of the list that have changed since it was sorted, by id; `undefined` for new ones. */
  #changed = new Map<string, Position | undefined>()
  #columns: PlanColumns

  constructor(doc: A.Doc<unknown>) {
    this.#columns = new PlanColumns(readColumns(doc))
    this.rebuild(doc)
  }

  /** The columns of the plan. The same object until one of them changes. */
  get columns(): PlanColumns {
    return this.#columns
  }

  /**
   * Reads the columns again, and all rows if a column has changed: its type decides which values are valid. Returns whether one has. Automerge
   * does not report every change of a losing value, so that the columns are compared as a whole.
   */
  checkColumns(doc: A.Doc<unknown>): boolean {
    const columns = readColumns(doc)
    if (JSON.stringify(columns) === JSON.stringify(this.#columns.all)) return false
    this.#columns = new PlanColumns(columns)
    for (const id of Object.keys(rowsOf(doc))) this.#conflictCandidates.add(id)
    this.rebuild(doc)
    return true
  }

  /** Positions, newest first. The same array until something changes. */
  get list(): readonly Position[] {
    if (!this.#list || this.#changed.size > MAX_PATCHED) this.#list = [...this.#byId.values()].sort(newestFirst)
    else this.#list = patchSorted(this.#list, this.#changed, this.#byId)
    this.#changed.clear()
    return this.#list
  }

  get(id: string): Position | undefined {
    return this.#byId.get(id)
  }

  /** Reads all rows again and keeps the known conflicts. Call {@link checkConflicts} for rows with other conflicts. */
  rebuild(doc: A.Doc<unknown>): void {
    this.#byId.clear()
    const rows = rowsOf(doc)
    for (const [id, row] of Object.entries(rows)) {
      const position = readPosition(id, row, this.#columns.own)
      if (position) this.#byId.set(id, position)
    }
    this.#readConflicts(doc)
    this.#list = null
    this.#changed.clear()
  }

  #put(position: Position): void {
    this.#note(position.id)
    this.#byId.set(position.id, position)
  }

  #delete(id: string): void {
    this.#note(id)
    this.#byId.delete(id)
  }

  #note(id: string): void {
    if (!this.#changed.has(id)) this.#changed.set(id, this.#byId.get(id))
  }

  /**
   * Applies patches. Returns the changed fields by row; `null` for rows that were added or deleted. `isLocal`: this page made the change, so
   * that rows which it added have no conflict yet.
   */
  applyPatches(doc: A.Doc<unknown>, patches: readonly A.Patch[], isLocal = false): Map<string, Set<string> | null> {
    const touched = new Map<string, Set<string> | null>()
    for (const { path } of patches) {
      if (path[0] !== "positions") continue
      if (path.length === 1) {
        this.rebuild(doc)
        return touched
      }
      const id = String(path[1])
      const fields = touched.get(id)
      if (path.length === 2) touched.set(id, null)
      else if (fields === undefined) touched.set(id, new Set([String(path[2])]))
      else fields?.add(String(path[2]))
    }
    const rows = rowsOf(doc)
    for (const [id, fields] of touched) {
      const isAdded = isLocal && fields === null && !this.#byId.has(id)
      const position = readPosition(id, rowAt(rows, id), this.#columns.own)
      if (position) this.#put(position)
      else this.#delete(id)
      if (!isAdded) this.#conflictCandidates.add(id)
    }
    if (this.#conflictCandidates.size > 0 && patches.length > 0) this.#readConflicts(doc)
    return touched
  }

  /** Reads the conflicts of these rows. */
  checkConflicts(doc: A.Doc<unknown>, ids: Iterable<string>): void {
    for (const id of ids) this.#conflictCandidates.add(id)
    this.#readConflicts(doc)
  }

  #readConflicts(doc: A.Doc<unknown>): void {
    for (const id of this.#conflictCandidates) {
      const position = this.#byId.get(id)
      const conflicts = position ? readConflicts(doc, id, this.#columns.own) : null
      if (position && (conflicts || position.conflicts)) {
        this.#put({ ...position, conflicts })
      }
      if (!conflicts) this.#conflictCandidates.delete(id)
    }
  }
}
