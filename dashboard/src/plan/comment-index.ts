/** Comments of all positions, updated from patches: a comment costs one row, not all of them. */
import type { next as A } from "@automerge/automerge/slim"
import { COMMENTS, type Comment, readComments } from "./comments"
import { RowReader } from "./multi-value-register"
import { rowsOf } from "./schema"

/** Comments by position, oldest first. Positions without comments are left out. */
export type CommentsByPosition = ReadonlyMap<string, readonly Comment[]>

export class CommentIndex {
  #byPosition = new Map<string, readonly Comment[]>()
  /** Positions whose comments are in several maps. Automerge does not report every change of a losing value. */
  #merged = new Set<string>()
  #shown: CommentsByPosition | null = null

  constructor(doc: A.Doc<unknown>) {
    this.#rebuild(doc)
  }

  /** The same map until something changes. */
  get all(): CommentsByPosition {
    this.#shown ??= new Map(this.#byPosition)
    return this.#shown
  }

  applyPatches(doc: A.Doc<unknown>, patches: readonly A.Patch[]): void {
    const touched = new Set<string>()
    for (const { path } of patches) {
      if (path[0] !== "positions") continue
      if (path.length === 1) {
        this.#rebuild(doc)
        return
      }
      if (path.length === 2 || path[2] === COMMENTS) touched.add(String(path[1]))
    }
    this.check(doc, touched)
  }

  /** Reads the comments of these positions, and of those whose changes Automerge may not report. */
  check(doc: A.Doc<unknown>, ids: Iterable<string> = []): void {
    const all = new Set([...ids, ...this.#merged])
    if (all.size > 0) this.#read(new RowReader(doc), all)
  }

  #rebuild(doc: A.Doc<unknown>): void {
    this.#byPosition.clear()
    this.#merged.clear()
    this.#shown = null
    const hasComments = (row: unknown) => typeof row === "object" && row !== null && COMMENTS in row
    const ids = Object.entries(rowsOf(doc)).flatMap(([id, row]) => (hasComments(row) ? [id] : []))
    this.#read(new RowReader(doc), ids)
  }

  #read(reader: RowReader, ids: Iterable<string>): void {
    for (const id of ids) {
      const { comments, isMerged } = readComments(reader, id)
      if (isMerged) this.#merged.add(id)
      else this.#merged.delete(id)
      const before = this.#byPosition.get(id) ?? []
      if (JSON.stringify(before) === JSON.stringify(comments)) continue
      if (comments.length > 0) this.#byPosition.set(id, comments)
      else this.#byPosition.delete(id)
      this.#shown = null
    }
  }
}
