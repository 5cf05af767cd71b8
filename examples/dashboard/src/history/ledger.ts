/**
 * Who changed what, read from the document's own changes: that works without a network, and nobody has to be believed but
 * whoever wrote the change.
 *
 * Every change is looked at once. Pure: it knows nothing of workers, storage or the page.
 */
import type { next as A } from "@automerge/automerge/slim"
import { asMoment, byOperation, FIELDS, type Field, type FieldValue, split } from "../plan/schema"
import { Text } from "./text"

/** A field that a change has set. */
export interface SetField {
  kind: "set"
  /** null: of the plan. */
  position: string | null
  /** What the position was called then. */
  name: string
  field: string
  old: FieldValue
  new: FieldValue
}

/** A position that a change has made. */
export interface Came {
  kind: "added"
  position: string
  name: string
}

/** A position that a change has deleted. */
export interface Went {
  kind: "deleted"
  position: string
  name: string
  /** As it was. */
  row: Fields
}

export type Deed = SetField | Came | Went

/** What brings a position back. */
export interface Fields {
  designation: string
  department: string
  budget: number
  location: string
  createdAt: number | null
}

/** One change. */
export interface Entry {
  hash: string
  /** Milliseconds since 1970, as the change says; null: it says nothing. */
  time: number | null
  /** Who it says it is from. */
  who: string
  message: string
  deeds: Deed[]
  /** Deeds that are not listed: a large import has thousands. */
  more: number
}

/** An edit that nobody saw, because somebody deleted its position at the same time. */
export interface Swallowed {
  /** The change that made the edit: what one calls it by. */
  key: string
  position: string
  field: Field
  value: FieldValue
  who: string
  time: number | null
  deletedBy: string
  deletedAt: number | null
  /** The position as it would be. */
  row: Fields
}

interface Change {
  hash: string
  actor: string
  deps: string[]
  startOp: number
  maxOp: number
  time: number | null
  who: string
  message: string
  deeds: Deed[]
}

/** A value that an operation has written. */
interface Written {
  value: FieldValue
  text: Text | null
}

interface Row {
  position: string
  /** The change that made it. */
  made: number
  /** The highest write of each field. */
  fields: Map<string, string>
  /** Writes of fields that people edit, after the one that made the row: by number of the change. */
  edits: { change: number; field: Field; operation: string }[]
  /** Changes that have deleted it. */
  deletions: number[]
}

const MAX_DEEDS = 200
const PLAN_FIELDS = new Set(["name", "currency", "unit", "totalBudget"])
const ROW_FIELDS = new Set<string>([...FIELDS, "createdAt", "updatedAt", "updatedBy"])
/** What is of no interest by itself. */
const SILENT = new Set(["createdAt", "updatedAt", "updatedBy"])
const isEditable = (field: string): field is Field => (FIELDS as readonly string[]).includes(field)

export class Ledger {
  #changes: Change[] = []
  #numbers = new Map<string, number>()
  #byActor = new Map<string, number[]>()
  #maps = new Set<string>()
  #rows = new Map<string, Row>()
  #texts = new Map<string, { text: Text; row: string | null; field: string }>()
  #written = new Map<string, Written>()
  #names = new Map<string, string>()
  #deleted = new Set<string>()
  /** The rows that were made for a position: several, if it was deleted and came back. */
  #byPosition = new Map<string, Row[]>()
  /** What was found out about pairs of changes. */
  #before = new Map<string, boolean>()

  get length(): number {
    return this.#changes.length
  }

  /** Adds a change. All that it builds upon must have been added. */
  add(change: A.DecodedChange): void {
    if (this.#numbers.has(change.hash)) return
    const number = this.#changes.length
    const entry: Change = {
      hash: change.hash,
      actor: change.actor,
      deps: change.deps,
      startOp: change.startOp,
      maxOp: change.startOp + change.ops.length - 1,
      time: change.time ? asMoment(change.time * 1_000) : null,
      who: "",
      message: change.message ?? "",
      deeds: [],
    }
    this.#numbers.set(change.hash, number)
    const own = this.#byActor.get(change.actor)
    if (own) own.push(number)
    else this.#byActor.set(change.actor, [number])
    this.#changes.push(entry)
    this.#read(change, entry, number)
  }

  #read(change: A.DecodedChange, entry: Change, number: number): void {
    /** Texts are told when all of their letters are there. */
    const sets: { row: string | null; field: string; old: FieldValue; value: () => FieldValue }[] = []
    const made = new Map<string, string>()
    const removed = new Map<string, string>()
    const changed = new Map<string, FieldValue>()
    let said = ""
    change.ops.forEach((op, at) => {
      const operation = `${change.startOp + at}@${change.actor}`
      const { insert, elemId } = op as unknown as { insert?: boolean; elemId?: string }
      const text = this.#texts.get(op.obj)
      if (text) {
        if (text.row !== null || PLAN_FIELDS.has(text.field)) {
          const known = `${op.obj}`
          if (!made.has(known) && !changed.has(known)) changed.set(known, text.text.value)
        }
        if (insert) text.text.insert(operation, elemId ?? "_head", String(op.value ?? ""))
        else if (elemId) text.text.replace(elemId, op.action === "del" ? null : String(op.value ?? ""))
        return
      }
      if (op.obj === "_root" && op.key === "positions") {
        if (op.action === "makeMap") this.#maps.add(operation)
        return
      }
      if (this.#maps.has(op.obj)) {
        const position = op.key
        for (const row of op.pred) {
          this.#rows.get(row)?.deletions.push(number)
          this.#deleted.add(row)
        }
        if (op.action === "makeMap") {
          const row: Row = { position, made: number, fields: new Map(), edits: [], deletions: [] }
          this.#rows.set(operation, row)
          const others = this.#byPosition.get(position)
          if (others) others.push(row)
          else this.#byPosition.set(position, [row])
          made.set(position, operation)
          removed.delete(position)
        } else if (op.action === "del" && op.pred.length > 0) {
          removed.set(
            position,
            op.pred.reduce((one, other) => (byOperation(one, other) > 0 ? one : other)),
          )
          made.delete(position)
        }
        return
      }
      const row = this.#rows.get(op.obj)
      if (row ? !ROW_FIELDS.has(op.key) : op.obj !== "_root" || !PLAN_FIELDS.has(op.key)) return
      const old = this.#shown(op.pred)
      const written: Written = { value: plainValue(op), text: null }
      if (op.action === "makeText") {
        written.text = new Text()
        this.#texts.set(operation, { text: written.text, row: row ? op.obj : null, field: op.key })
        made.set(operation, operation)
      }
      this.#written.set(operation, written)
      if (row) {
        const before = row.fields.get(op.key)
        if (op.action === "del") {
          if (before && op.pred.includes(before)) row.fields.delete(op.key)
        } else if (!before || byOperation(operation, before) > 0) row.fields.set(op.key, operation)
        if (isEditable(op.key) && made.get(row.position) !== op.obj) row.edits.push({ change: number, field: op.key, operation })
      }
      sets.push({ row: row ? op.obj : null, field: op.key, old, value: () => (op.action === "del" ? null : valueIn(written)) })
    })
    for (const [object, old] of changed) {
      const text = this.#texts.get(object)
      if (text) sets.push({ row: text.row, field: text.field, old, value: () => text.text.value })
    }
    for (const { row: object, field, value } of sets) {
      const row = object === null ? undefined : this.#rows.get(object)
      if (field === "designation" && row) this.#names.set(row.position, String(value() ?? ""))
      if (field === "updatedBy") said = String(value() ?? "")
    }
    entry.who = said || author(entry.message) || `device ${change.actor.slice(0, 6)}`
    const deeds: Deed[] = []
    for (const [position, operation] of made) {
      if (this.#rows.get(operation)?.position === position) deeds.push({ kind: "added", position, name: this.#names.get(position) ?? "" })
    }
    for (const [position, object] of removed) {
      const row = this.#rows.get(object)
      if (row) deeds.push({ kind: "deleted", position, name: this.#names.get(position) ?? "", row: this.#fieldsOf(row) })
    }
    for (const { row: object, field, old, value } of sets) {
      const row = object === null ? undefined : this.#rows.get(object)
      if (SILENT.has(field) || (row && made.get(row.position) === object)) continue
      deeds.push({
        kind: "set",
        position: row?.position ?? null,
        name: row ? (this.#names.get(row.position) ?? "") : "",
        field,
        old,
        new: value(),
      })
    }
    entry.deeds = deeds
  }

  /** Of the values of these writes, the one that was shown. */
  #shown(operations: readonly string[]): FieldValue {
    const highest = operations.reduce<string | null>((one, other) => (one !== null && byOperation(one, other) > 0 ? one : other), null)
    const written = highest === null ? undefined : this.#written.get(highest)
    return written ? valueIn(written) : null
  }

  /** Changes, the newest first, from a place on: of everything, or of one position or field. */
  page(
    about: { position?: string; field?: string },
    before: number | null,
    limit: number,
  ): { entries: Entry[]; next: number | null; places: number[] } {
    const entries: Entry[] = []
    const places: number[] = []
    for (let at = (before ?? this.#changes.length) - 1; at >= 0; at -= 1) {
      const change = this.#changes[at] as Change
      const isAbout = (deed: Deed) =>
        (about.position === undefined || deed.position === about.position) &&
        (about.field === undefined || deed.kind !== "set" || deed.field === about.field)
      const deeds = change.deeds.filter(isAbout)
      if (deeds.length === 0 && (about.position !== undefined || about.field !== undefined)) continue
      if (entries.length === limit) return { entries, places, next: places.at(-1) as number }
      const { hash, time, who, message } = change
      entries.push({ hash, time, who, message, deeds: deeds.slice(0, MAX_DEEDS), more: Math.max(0, deeds.length - MAX_DEEDS) })
      places.push(at)
    }
    return { entries, places, next: null }
  }

  /** What a change says of itself. */
  entry(at: number): { who: string; time: number | null } | null {
    const change = this.#changes[at]
    return change ? { who: change.who, time: change.time } : null
  }

  /** The heads of the document with all changes up to this one. */
  headsAt(at: number): string[] {
    const heads = new Set<string>()
    for (const change of this.#changes.slice(0, at + 1)) {
      for (const dep of change.deps) heads.delete(dep)
      heads.add(change.hash)
    }
    return [...heads]
  }

  /** Who made a write, and when. */
  maker(operation: string): { who: string; time: number | null } | null {
    const [counter, actor] = split(operation)
    const own = this.#byActor.get(actor) ?? []
    const number = own.findLast((at) => (this.#changes[at] as Change).startOp <= counter)
    return number === undefined ? null : this.entry(number)
  }

  /** Edits that a concurrent deletion has swallowed, the newest first: also of positions that are there again. */
  swallowed(): Swallowed[] {
    const found: (Swallowed & { at: number })[] = []
    for (const object of this.#deleted) {
      const row = this.#rows.get(object)
      if (!row) continue
      // Of several edits of a field the last one counts.
      const last = new Map<Field, Row["edits"][number]>()
      for (const edit of row.edits) {
        const isSwallowed = row.deletions.every((deletion) => !this.#isBefore(edit.change, deletion))
        const other = last.get(edit.field)
        if (isSwallowed && (!other || byOperation(edit.operation, other.operation) > 0)) last.set(edit.field, edit)
      }
      for (const edit of last.values()) {
        const { change, field, operation } = edit
        if (this.#isSeenTo(row, edit)) continue
        const by = this.#changes[change] as Change
        const deletion = this.#changes[row.deletions[0] as number] as Change
        const written = this.#written.get(operation)
        found.push({
          at: change,
          key: `${by.hash}/${field}`,
          position: row.position,
          field,
          value: written ? valueIn(written) : null,
          who: by.who,
          time: by.time,
          deletedBy: deletion.who,
          deletedAt: deletion.time,
          row: this.#fieldsOf(row),
        })
      }
    }
    return found.sort((one, other) => other.at - one.at).map(({ at: _, ...swallowed }) => swallowed)
  }

  /** Whether somebody who had the edit has made the position again, deleted it again, or set this field of it. */
  #isSeenTo(row: Row, { change, field }: Row["edits"][number]): boolean {
    const others = this.#byPosition.get(row.position)?.filter((other) => other !== row) ?? []
    return others.some((other) => {
      const writes = other.edits.filter((edit) => edit.field === field).map((edit) => edit.change)
      return [other.made, ...other.deletions, ...writes].some((later) => this.#isBefore(change, later))
    })
  }

  #fieldsOf({ fields }: Row): Fields {
    const value = (name: string): FieldValue => {
      const write = fields.get(name)
      const written = write ? this.#written.get(write) : undefined
      return written ? valueIn(written) : null
    }
    const number = (read: FieldValue) => (typeof read === "number" ? read : null)
    return {
      designation: String(value("designation") ?? ""),
      department: String(value("department") ?? ""),
      budget: number(value("budget")) ?? 0,
      location: String(value("location") ?? ""),
      createdAt: number(value("createdAt")),
    }
  }

  /** Whether a change was known to whoever made the other. Only what was made since is looked at. */
  #isBefore(earlier: number, later: number): boolean {
    const pair = `${earlier}/${later}`
    const known = this.#before.get(pair)
    if (known !== undefined) return known
    const found = this.#searchBefore(earlier, later)
    this.#before.set(pair, found)
    return found
  }

  #searchBefore(earlier: number, later: number): boolean {
    if (earlier === later) return true
    const from = this.#changes[earlier] as Change
    const seen = new Set<number>([later])
    const waiting = [later]
    for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
      for (const dep of (this.#changes[at] as Change).deps) {
        const parent = this.#numbers.get(dep)
        if (parent === earlier) return true
        if (parent === undefined || seen.has(parent) || (this.#changes[parent] as Change).maxOp <= from.maxOp) continue
        seen.add(parent)
        waiting.push(parent)
      }
    }
    return false
  }
}

const valueIn = ({ value, text }: Written): FieldValue => (text ? text.value : value)

function plainValue(op: A.DecodedChange["ops"][number]): FieldValue {
  if (op.action !== "set") return null
  const { value } = op
  return typeof value === "string" || typeof value === "number" ? value : null
}

/** Messages begin with a name: `CFO: budget of Designer: 9`. */
function author(message: string): string {
  const end = message.indexOf(": ")
  return end > 0 && end <= 60 ? message.slice(0, end) : ""
}
