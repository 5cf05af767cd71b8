/**
 * History of a plan, computed from the changes of the document, so that it works offline. Authors and times are those that the changes
 * claim.
 *
 * Each change is read once. This module is pure: it uses no worker, storage or DOM.
 */
import type { next as A } from "@automerge/automerge/slim"
import { COMMENTS } from "../plan/comments"
import { compareOperationIds, parseOperationId } from "../plan/multi-value-register"
import { type FieldValue, toTimestamp } from "../plan/schema"
import { isSharedMapActor, isSharedMapKey, sharedMapField } from "../plan/shared-map"
import { CommentLog } from "./comment-log"
import type { DiscardedEdit, FieldSetEvent, HistoryEntry, HistoryEvent } from "./events"
import type { PastChange } from "./past-states"
import { TextSequence } from "./text-sequence"

interface LoggedChange {
  hash: string
  actor: string
  deps: string[]
  startOp: number
  maxOp: number
  time: number | null
  author: string
  message: string
  events: HistoryEvent[]
}

/** A value written by an operation. */
interface WrittenValue {
  value: FieldValue
  text: TextSequence | null
  /** The value is a list or a map. */
  isNested: boolean
  /** Index of the change that wrote the value, and of the changes that overwrote or deleted it. */
  change: number
  supersededBy: number[]
}

/** A field of a row, or of the plan (`row` is `null`). */
interface FieldPath {
  row: string | null
  field: string
}

interface RowRecord {
  /** Automerge object id. */
  object: string
  position: string
  /** Index of the change that created the row. */
  created: number
  /** The row restores a deleted row of the same position. */
  isRestored: boolean
  /** Edits of user-visible fields after the row was created. */
  edits: { change: number; field: string; operation: string; isNested: boolean }[]
  /** Indices of the changes that deleted the row. */
  deletions: number[]
}

/** A write found while reading a change. `value` is a function because the letters of a text follow in later operations. */
interface FieldWrite extends FieldPath {
  old: FieldValue
  value: () => FieldValue
  resolved: FieldValue[] | null
  isNested: boolean
  /** The field was empty for the author. */
  isFirst: boolean
  /** The change writes the field more than once: it restores the values of a conflict. */
  isRewrite?: boolean
}

const MAX_EVENTS = 200
/** Bookkeeping fields that the history does not list. */
const HIDDEN_FIELDS = new Set(["createdAt", "updatedAt", "updatedBy", "approvedAt", "approvedBy"])
/** Fields that are no edit of their own. The approved budget is recorded together with a status. */
const RECORDED_FIELDS = new Set([...HIDDEN_FIELDS, "approvedBudget"])
const HIDDEN_PLAN_FIELDS = new Set(["documentId"])
const isEditable = (field: string): boolean => !RECORDED_FIELDS.has(field)

export class ChangeLog {
  #changes: LoggedChange[] = []
  #numbers = new Map<string, number>()
  #byActor = new Map<string, number[]>()
  #maps = new Set<string>()
  /** Keys of shared maps, by object id. */
  #sharedMaps = new Map<string, string>()
  #rows = new Map<string, RowRecord>()
  #texts = new Map<string, { text: TextSequence } & FieldPath>()
  /** Lists, maps and texts below a field, by object id. */
  #nested = new Map<string, FieldPath>()
  #written = new Map<string, WrittenValue>()
  /** Operations that wrote each key, by `object/key`. */
  #registers = new Map<string, string[]>()
  #comments = new CommentLog()
  #names = new Map<string, string>()
  #deleted = new Set<string>()
  /** All rows ever created for a position. There are several if it was deleted and restored. */
  #byPosition = new Map<string, RowRecord[]>()
  /** Cache of {@link #isAncestor}, by pair of change indices. */
  #ancestry = new Map<string, boolean>()

  get length(): number {
    return this.#changes.length
  }

  /** All changes, dependencies first. */
  get changes(): readonly PastChange[] {
    return this.#changes
  }

  /** The change with this hash. */
  change(hash: string): PastChange | undefined {
    return this.#changes[this.#numbers.get(hash) ?? -1]
  }

  /** Adds a change. Its dependencies must have been added before. `maxOp`: counter of its last operation. */
  add(change: A.DecodedChange, maxOp = change.startOp + change.ops.length - 1): void {
    if (this.#numbers.has(change.hash)) return
    const number = this.#changes.length
    const entry: LoggedChange = {
      hash: change.hash,
      actor: change.actor,
      deps: change.deps,
      startOp: change.startOp,
      maxOp,
      time: change.time ? toTimestamp(change.time * 1_000) : null,
      author: "",
      message: change.message ?? "",
      events: [],
    }
    this.#numbers.set(change.hash, number)
    const own = this.#byActor.get(change.actor)
    if (own) own.push(number)
    else this.#byActor.set(change.actor, [number])
    this.#changes.push(entry)
    this.#read(change, entry, number)
  }

  #read(change: A.DecodedChange, entry: LoggedChange, number: number): void {
    const writes: FieldWrite[] = []
    const created = new Map<string, string>()
    const replaced = new Map<string, number>()
    const removed = new Set<string>()
    const changed = new Map<string, FieldValue>()
    const inner = new Map<string, FieldPath>()
    const isCreatedHere = (row: string | null) => row !== null && created.get(this.#rows.get(row)?.position ?? "") === row
    let updatedBy = ""
    change.ops.forEach((op, at) => {
      const operation = `${change.startOp + at}@${change.actor}`
      const { insert, elemId } = op as unknown as { insert?: boolean; elemId?: string }
      const text = this.#texts.get(op.obj)
      if (text) {
        const isNew = this.#written.get(op.obj)?.change === number
        if (!isNew && !changed.has(op.obj)) changed.set(op.obj, text.text.value)
        if (insert) text.text.insert(operation, elemId ?? "_head", String(op.value ?? ""))
        else if (elemId) text.text.replace(elemId, op.action === "del" ? null : String(op.value ?? ""))
        return
      }
      const nested = this.#nested.get(op.obj)
      if (nested) {
        this.#comments.read(op, operation)
        if (op.action.startsWith("make")) this.#nested.set(operation, nested)
        inner.set(`${nested.row}/${nested.field}`, nested)
        const row = nested.row === null ? undefined : this.#rows.get(nested.row)
        if (row && !isCreatedHere(nested.row) && isEditable(nested.field))
          row.edits.push({ change: number, field: nested.field, operation, isNested: true })
        return
      }
      // Shared maps are listed by their entries.
      if (op.obj === "_root" && op.action === "makeMap" && isSharedMapKey(op.key)) {
        this.#sharedMaps.set(operation, op.key)
        return
      }
      const sharedMap = this.#sharedMaps.get(op.obj)
      if (sharedMap !== undefined) {
        writes.push(this.#write({ row: null, field: sharedMapField(sharedMap, op.key) }, op, operation, number))
        return
      }
      if (op.obj === "_root" && op.key === "positions") {
        if (op.action === "makeMap") this.#maps.add(operation)
        return
      }
      if (this.#maps.has(op.obj)) {
        const position = op.key
        for (const pred of op.pred) {
          this.#rows.get(pred)?.deletions.push(number)
          this.#deleted.add(pred)
        }
        if (op.action === "makeMap") {
          const others = this.#byPosition.get(position) ?? []
          const isRestored = op.pred.length === 0 && others.some((other) => other.deletions.some((end) => this.#isAncestor(end, number)))
          const row: RowRecord = { object: operation, position, created: number, isRestored, edits: [], deletions: [] }
          this.#rows.set(operation, row)
          this.#byPosition.set(position, [...others, row])
          created.set(position, operation)
          if (op.pred.length > 0) replaced.set(position, op.pred.length)
          removed.delete(position)
        } else if (op.action === "del" && op.pred.length > 0) {
          removed.add(position)
          created.delete(position)
        }
        return
      }
      const row = this.#rows.get(op.obj)
      if (!row && op.obj !== "_root") return
      const path: FieldPath = { row: row ? op.obj : null, field: op.key }
      if (row && op.key === COMMENTS && op.action === "makeMap") this.#comments.addMap(operation, row.position, row.object)
      if (row && isEditable(op.key) && !isCreatedHere(op.obj)) row.edits.push({ change: number, field: op.key, operation, isNested: false })
      writes.push(this.#write(path, op, operation, number))
    })
    for (const [object, old] of changed) {
      const { row, field, text } = this.#texts.get(object) ?? {}
      if (row !== undefined && field !== undefined && text)
        writes.push({ row, field, old, value: () => text.value, resolved: null, isNested: false, isFirst: false })
    }
    for (const { row: object, field, value } of writes) {
      const row = object === null ? undefined : this.#rows.get(object)
      if (field === "designation" && row) this.#names.set(row.position, String(value() ?? ""))
      if (field === "updatedBy") updatedBy = String(value() ?? "")
    }
    entry.author = updatedBy || authorFromMessage(entry.message) || `device ${change.actor.slice(0, 6)}`
    for (const [position, operation] of created) {
      const name = this.#names.get(position) ?? ""
      const rows = replaced.get(position)
      if (rows !== undefined) entry.events.push({ kind: "replaced", position, name, rows })
      else entry.events.push({ kind: this.#rows.get(operation)?.isRestored ? "restored" : "added", position, name })
    }
    for (const position of removed)
      entry.events.push({ kind: "deleted", position, name: this.#names.get(position) ?? "", heads: change.deps })
    const comments = this.#comments.takeEvents()
    for (const { row, position, action, text } of comments)
      if (!isCreatedHere(row)) entry.events.push({ kind: "comment", position, name: this.#names.get(position) ?? "", action, text })
    /** Comments are listed one by one, not as an edit of their map. */
    const isListedComment = (path: FieldPath) =>
      path.field === COMMENTS && path.row !== null && comments.some(({ position }) => position === this.#rows.get(path.row ?? "")?.position)
    for (const write of mergeWrites(writes))
      if (!isCreatedHere(write.row) && !isListedComment(write)) entry.events.push(...this.#toEvents(write))
    for (const path of inner.values()) {
      if (isListedComment(path)) continue
      const isListed = isCreatedHere(path.row) || writes.some(({ row, field }) => row === path.row && field === path.field)
      if (!isListed)
        entry.events.push(...this.#toEvents({ ...path, old: null, value: () => null, resolved: null, isNested: true, isFirst: false }))
    }
  }

  /** Records one operation on a key. */
  #write(path: FieldPath, op: A.DecodedChange["ops"][number], operation: string, number: number): FieldWrite {
    const key = `${op.obj}/${op.key}`
    const register = this.#registers.get(key) ?? []
    const preds = op.pred.filter((pred) => this.#written.has(pred))
    // When an author keeps the shown value of a conflict, Automerge only deletes the losing values. Find the value that remains.
    const visible = op.action === "del" ? this.#visibleWrites(register, preds, number) : preds
    const before = visible
      .toSorted((one, other) => compareOperationIds(other, one))
      .map((other) => this.#written.get(other) as WrittenValue)
    if (op.action === "inc") {
      const counter = before[0]
      const old = counter ? currentValue(counter) : null
      if (counter && typeof old === "number") counter.value = old + Number(op.value ?? 0)
      const now = counter ? currentValue(counter) : null
      return { ...path, old, value: () => now, resolved: null, isNested: false, isFirst: false }
    }
    for (const pred of preds) this.#written.get(pred)?.supersededBy.push(number)
    let after: WrittenValue | undefined
    if (op.action === "del") {
      const remaining = visible.filter((other) => !preds.includes(other))
      if (remaining.length > 0)
        after = this.#written.get(remaining.reduce((one, other) => (compareOperationIds(one, other) > 0 ? one : other)))
    } else {
      after = { value: plainValue(op), text: null, isNested: false, change: number, supersededBy: [] }
      if (op.action === "makeText") {
        after.text = new TextSequence()
        this.#texts.set(operation, { text: after.text, ...path })
      } else if (op.action.startsWith("make")) {
        after.isNested = true
        this.#nested.set(operation, path)
      }
      this.#written.set(operation, after)
      register.push(operation)
      this.#registers.set(key, register)
    }
    const values = [...new Set(before.map(currentValue))]
    return {
      ...path,
      old: before[0] ? currentValue(before[0]) : null,
      value: () => (after ? currentValue(after) : null),
      resolved: values.length > 1 ? values : null,
      isNested: (after?.isNested || before[0]?.isNested) ?? false,
      isFirst: before.length === 0,
    }
  }

  /**
   * The operations on a key that were visible to the author of a change: already written and not yet superseded. `preds`: the predecessors
   * that the change names. Known changes are collected on the way, so that a long sequence of edits needs no search.
   */
  #visibleWrites(register: readonly string[], preds: readonly string[], number: number): string[] {
    const visible: string[] = []
    const known = new Set([number, ...preds.map((pred) => this.#written.get(pred)?.change ?? number)])
    for (const operation of register.toReversed()) {
      const { change, supersededBy } = this.#written.get(operation) as WrittenValue
      const isEnded = supersededBy.some((end) => known.has(end))
      if (!preds.includes(operation) && !isEnded && !this.#isAncestor(change, number)) continue
      known.add(change)
      if (!isEnded && !supersededBy.some((end) => this.#isAncestor(end, number))) visible.push(operation)
    }
    return visible
  }

  #toEvents({ row: object, field, old, value, resolved, isNested, isFirst, isRewrite }: FieldWrite): FieldSetEvent[] {
    const row = object === null ? undefined : this.#rows.get(object)
    if (row ? HIDDEN_FIELDS.has(field) : HIDDEN_PLAN_FIELDS.has(field)) return []
    const now = value()
    // Two people who set the same value did not change anything for the reader.
    if (old === now && !resolved && !isNested && !isRewrite) return []
    const name = row ? (this.#names.get(row.position) ?? "") : ""
    const event: FieldSetEvent = { kind: "set", position: row?.position ?? null, name, field, old, new: now }
    if (resolved) event.resolved = resolved
    if (isNested) event.nested = true
    if (isRewrite && old === now) event.restored = true
    if (row?.isRestored && isFirst && this.#hadValue(row, field, now)) event.restored = true
    return [event]
  }

  /** Whether an earlier, deleted row of the position had this value in the field. */
  #hadValue(row: RowRecord, field: string, value: FieldValue): boolean {
    const others = this.#byPosition.get(row.position) ?? []
    return others.some((other) => {
      if (other === row || !other.deletions.some((end) => this.#isAncestor(end, row.created))) return false
      const writes = this.#registers.get(`${other.object}/${field}`) ?? []
      return writes.some((write) => currentValue(this.#written.get(write) as WrittenValue) === value)
    })
  }

  /** A page of history entries, newest first, optionally limited to one position or field. */
  page(
    scope: { position?: string; field?: string },
    before: number | null,
    limit: number,
  ): { entries: HistoryEntry[]; next: number | null; indices: number[] } {
    const entries: HistoryEntry[] = []
    const indices: number[] = []
    for (let at = (before ?? this.#changes.length) - 1; at >= 0; at -= 1) {
      const change = this.#changes[at] as LoggedChange
      // Nobody is the author of a shared map.
      if (isSharedMapActor(change.actor)) continue
      const isInScope = (event: HistoryEvent) =>
        (scope.position === undefined || event.position === scope.position) &&
        (scope.field === undefined || (event.kind !== "comment" && (event.kind !== "set" || event.field === scope.field)))
      const events = change.events.filter(isInScope)
      if (events.length === 0 && (scope.position !== undefined || scope.field !== undefined)) continue
      if (entries.length === limit) return { entries, indices, next: indices.at(-1) as number }
      const { hash, time, author, message } = change
      entries.push({
        hash,
        time,
        author,
        message,
        events: events.slice(0, MAX_EVENTS),
        omitted: Math.max(0, events.length - MAX_EVENTS),
      })
      indices.push(at)
    }
    return { entries, indices, next: null }
  }

  /** Author and time that a change claims. */
  attributionAt(at: number): { author: string; time: number | null } | null {
    const change = this.#changes[at]
    return change ? { author: change.author, time: change.time } : null
  }

  /** Heads of the document after this change and all changes before it. */
  headsAt(at: number): string[] {
    const heads = new Set<string>()
    for (const change of this.#changes.slice(0, at + 1)) {
      for (const dep of change.deps) heads.delete(dep)
      heads.add(change.hash)
    }
    return [...heads]
  }

  /** Author, time and hash of the change that contains an operation. */
  authorOf(operation: string): { author: string; time: number | null; hash: string } | null {
    const [counter, actor] = parseOperationId(operation)
    const own = this.#byActor.get(actor) ?? []
    const number = own.findLast((at) => (this.#changes[at] as LoggedChange).startOp <= counter)
    if (number === undefined) return null
    const { author, time, hash } = this.#changes[number] as LoggedChange
    return { author, time, hash }
  }

  /** Edits that a concurrent deletion discarded, newest first. Includes edits of positions that have been restored since. */
  discardedEdits(): DiscardedEdit[] {
    const found: (DiscardedEdit & { at: number })[] = []
    for (const object of this.#deleted) {
      const row = this.#rows.get(object)
      if (!row) continue
      // Only the last edit of each field counts.
      const last = new Map<string, RowRecord["edits"][number]>()
      for (const edit of row.edits) {
        const isDiscarded = row.deletions.every((deletion) => !this.#isAncestor(edit.change, deletion))
        const other = last.get(edit.field)
        if (isDiscarded && (!other || compareOperationIds(edit.operation, other.operation) > 0)) last.set(edit.field, edit)
      }
      for (const edit of last.values()) {
        const { change, field, operation, isNested } = edit
        if (this.#isHandled(row, edit)) continue
        const editor = this.#changes[change] as LoggedChange
        const deletion = this.#changes[row.deletions[0] as number] as LoggedChange
        const written = this.#written.get(operation)
        found.push({
          at: change,
          key: `${editor.hash}/${field}`,
          position: row.position,
          name: this.#names.get(row.position) ?? "",
          field,
          value: written ? currentValue(written) : null,
          nested: isNested || (written?.isNested ?? false),
          author: editor.author,
          time: editor.time,
          deletedBy: deletion.author,
          deletedAt: deletion.time,
          heads: [...this.#headsBefore(row), editor.hash],
        })
      }
    }
    return found.sort((one, other) => other.at - one.at).map(({ at: _, ...discarded }) => discarded)
  }

  /** Heads at which a deleted row still exists, with everything its deleters had seen. */
  #headsBefore(row: RowRecord): string[] {
    return row.deletions.flatMap((deletion) => this.#changes[deletion]?.deps ?? [])
  }

  /** Heads before the last deletion of a position; `null` if it was never deleted. */
  headsBeforeDeletion(position: string): string[] | null {
    const rows = this.#byPosition.get(position)?.filter(({ deletions }) => deletions.length > 0) ?? []
    const last = rows.toSorted((one, other) => Math.max(...one.deletions) - Math.max(...other.deletions)).at(-1)
    return last ? this.#headsBefore(last) : null
  }

  /** Whether a user who had seen the edit has since recreated or deleted the position, or set the field. */
  #isHandled(row: RowRecord, { change, field }: RowRecord["edits"][number]): boolean {
    const others = this.#byPosition.get(row.position)?.filter((other) => other !== row) ?? []
    return others.some((other) => {
      const writes = other.edits.filter((edit) => edit.field === field).map((edit) => edit.change)
      return [other.created, ...other.deletions, ...writes].some((later) => this.#isAncestor(change, later))
    })
  }

  /** Whether the later change depends on the earlier one, directly or indirectly. Visits only changes after the earlier one. */
  #isAncestor(earlier: number, later: number): boolean {
    const pair = `${earlier}/${later}`
    const known = this.#ancestry.get(pair)
    if (known !== undefined) return known
    const found = this.#searchAncestor(earlier, later)
    this.#ancestry.set(pair, found)
    return found
  }

  #searchAncestor(earlier: number, later: number): boolean {
    if (earlier === later) return true
    const from = this.#changes[earlier] as LoggedChange
    const visible = new Set<number>([later])
    const waiting = [later]
    for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
      for (const dep of (this.#changes[at] as LoggedChange).deps) {
        const parent = this.#numbers.get(dep)
        if (parent === earlier) return true
        if (parent === undefined || visible.has(parent) || (this.#changes[parent] as LoggedChange).maxOp <= from.maxOp) continue
        visible.add(parent)
        waiting.push(parent)
      }
    }
    return false
  }
}

/** Combines several writes of a field into one: the value before the change and the value after it. */
function mergeWrites(writes: readonly FieldWrite[]): FieldWrite[] {
  const found = new Map<string, FieldWrite>()
  for (const write of writes) {
    const key = `${write.row}/${write.field}`
    const first = found.get(key)
    found.set(key, first ? { ...first, value: write.value, isNested: first.isNested || write.isNested, isRewrite: true } : write)
  }
  return [...found.values()]
}

const currentValue = ({ value, text }: WrittenValue): FieldValue => (text ? text.value : value)

function plainValue(op: A.DecodedChange["ops"][number]): FieldValue {
  if (op.action !== "set" || op.value === null || op.value === undefined) return null
  const value: unknown = op.value
  if ("datatype" in op && op.datatype === "timestamp") return new Date(Number(value)).toISOString()
  if (typeof value === "string" || typeof value === "number") return value
  return value instanceof Uint8Array ? `${value.length} bytes` : String(value)
}

/** Messages start with the author: `CFO: budget of Designer: 9`. */
function authorFromMessage(message: string): string {
  const end = message.indexOf(": ")
  return end > 0 && end <= 60 ? message.slice(0, end) : ""
}
