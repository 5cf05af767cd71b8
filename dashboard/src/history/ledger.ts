/**
 * Who changed what, read from the document's own changes, so that it works without a network. Names and times are what each change says
 * of itself.
 *
 * Every change is read once. Pure: it knows nothing of workers, storage or the page.
 */
import type { next as A } from "@automerge/automerge/slim"
import { byOperation, split } from "../plan/register"
import { asMoment, type FieldValue } from "../plan/schema"
import type { Deed, Entry, SetField, Swallowed } from "./deeds"
import { Text } from "./text"

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
  /** It is a list or a map. */
  isNested: boolean
  /** The number of the change that wrote it, and of those that have overwritten or deleted it. */
  change: number
  ended: number[]
}

/** A key of a row, or of the plan (null). */
interface Place {
  row: string | null
  field: string
}

interface Row {
  /** Its name in Automerge. */
  object: string
  position: string
  /** The number of the change that made it. */
  made: number
  /** It took the place of a row that had been deleted. */
  isRestored: boolean
  /** Writes of fields that people edit, after the change that made the row. */
  edits: { change: number; field: string; operation: string; isNested: boolean }[]
  /** Numbers of the changes that have deleted it. */
  deletions: number[]
}

/** A field that the change being read has written. Texts are told when all of their letters are there. */
interface Setting extends Place {
  old: FieldValue
  value: () => FieldValue
  settled: FieldValue[] | null
  isNested: boolean
  /** Nothing stood there for the author. */
  isFirst: boolean
  /** The change has written the same value once more: one of those that it brings back. */
  isAgain?: boolean
}

const MAX_DEEDS = 200
/** Fields that are written beside every edit, or that only programs read. */
const SILENT = new Set(["createdAt", "updatedAt", "updatedBy"])
const SILENT_IN_PLAN = new Set(["documentId"])
const isEditable = (field: string): boolean => !SILENT.has(field)

export class Ledger {
  #changes: Change[] = []
  #numbers = new Map<string, number>()
  #byActor = new Map<string, number[]>()
  #maps = new Set<string>()
  #rows = new Map<string, Row>()
  #texts = new Map<string, { text: Text } & Place>()
  /** Lists and maps below a field, and texts in them. */
  #nested = new Map<string, Place>()
  #written = new Map<string, Written>()
  /** The operations that have written a key, by object and key. */
  #registers = new Map<string, string[]>()
  #names = new Map<string, string>()
  #deleted = new Set<string>()
  /** The rows that were made for a position: several, if it was deleted and came back. */
  #byPosition = new Map<string, Row[]>()
  /** What was found out about pairs of changes. */
  #before = new Map<string, boolean>()

  get length(): number {
    return this.#changes.length
  }

  /** Adds a change. All that it builds upon must have been added. `maxOp`: the counter of its last operation. */
  add(change: A.DecodedChange, maxOp = change.startOp + change.ops.length - 1): void {
    if (this.#numbers.has(change.hash)) return
    const number = this.#changes.length
    const entry: Change = {
      hash: change.hash,
      actor: change.actor,
      deps: change.deps,
      startOp: change.startOp,
      maxOp,
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
    const sets: Setting[] = []
    const made = new Map<string, string>()
    const replaced = new Map<string, number>()
    const removed = new Set<string>()
    const changed = new Map<string, FieldValue>()
    const inner = new Map<string, Place>()
    const isMade = (row: string | null) => row !== null && made.get(this.#rows.get(row)?.position ?? "") === row
    let said = ""
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
        if (op.action.startsWith("make")) this.#nested.set(operation, nested)
        inner.set(`${nested.row}/${nested.field}`, nested)
        const row = nested.row === null ? undefined : this.#rows.get(nested.row)
        if (row && !isMade(nested.row) && isEditable(nested.field))
          row.edits.push({ change: number, field: nested.field, operation, isNested: true })
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
          const isRestored = op.pred.length === 0 && others.some((other) => other.deletions.some((end) => this.#isBefore(end, number)))
          const row: Row = { object: operation, position, made: number, isRestored, edits: [], deletions: [] }
          this.#rows.set(operation, row)
          this.#byPosition.set(position, [...others, row])
          made.set(position, operation)
          if (op.pred.length > 0) replaced.set(position, op.pred.length)
          removed.delete(position)
        } else if (op.action === "del" && op.pred.length > 0) {
          removed.add(position)
          made.delete(position)
        }
        return
      }
      const row = this.#rows.get(op.obj)
      if (!row && op.obj !== "_root") return
      const place: Place = { row: row ? op.obj : null, field: op.key }
      if (row && isEditable(op.key) && !isMade(op.obj)) row.edits.push({ change: number, field: op.key, operation, isNested: false })
      sets.push(this.#write(place, op, operation, number))
    })
    for (const [object, old] of changed) {
      const { row, field, text } = this.#texts.get(object) ?? {}
      if (row !== undefined && field !== undefined && text)
        sets.push({ row, field, old, value: () => text.value, settled: null, isNested: false, isFirst: false })
    }
    for (const { row: object, field, value } of sets) {
      const row = object === null ? undefined : this.#rows.get(object)
      if (field === "designation" && row) this.#names.set(row.position, String(value() ?? ""))
      if (field === "updatedBy") said = String(value() ?? "")
    }
    entry.who = said || author(entry.message) || `device ${change.actor.slice(0, 6)}`
    for (const [position, operation] of made) {
      const name = this.#names.get(position) ?? ""
      const rows = replaced.get(position)
      if (rows !== undefined) entry.deeds.push({ kind: "replaced", position, name, rows })
      else entry.deeds.push({ kind: this.#rows.get(operation)?.isRestored ? "restored" : "added", position, name })
    }
    for (const position of removed)
      entry.deeds.push({ kind: "deleted", position, name: this.#names.get(position) ?? "", heads: change.deps })
    for (const set of merged(sets)) if (!isMade(set.row)) entry.deeds.push(...this.#deed(set))
    for (const place of inner.values()) {
      const isTold = isMade(place.row) || sets.some(({ row, field }) => row === place.row && field === place.field)
      if (!isTold)
        entry.deeds.push(...this.#deed({ ...place, old: null, value: () => null, settled: null, isNested: true, isFirst: false }))
    }
  }

  /** Takes one write of a key in. */
  #write(place: Place, op: A.DecodedChange["ops"][number], operation: string, number: number): Setting {
    const key = `${op.obj}/${op.key}`
    const register = this.#registers.get(key) ?? []
    const preds = op.pred.filter((pred) => this.#written.has(pred))
    // Writing the value of a conflict that is shown makes Automerge delete the others: what is left has to be looked for.
    const seen = op.action === "del" ? this.#seen(register, preds, number) : preds
    const before = seen.toSorted((one, other) => byOperation(other, one)).map((other) => this.#written.get(other) as Written)
    if (op.action === "inc") {
      const counter = before[0]
      const old = counter ? valueIn(counter) : null
      if (counter && typeof old === "number") counter.value = old + Number(op.value ?? 0)
      const now = counter ? valueIn(counter) : null
      return { ...place, old, value: () => now, settled: null, isNested: false, isFirst: false }
    }
    for (const pred of preds) this.#written.get(pred)?.ended.push(number)
    let after: Written | undefined
    if (op.action === "del") {
      const left = seen.filter((other) => !preds.includes(other))
      if (left.length > 0) after = this.#written.get(left.reduce((one, other) => (byOperation(one, other) > 0 ? one : other)))
    } else {
      after = { value: plainValue(op), text: null, isNested: false, change: number, ended: [] }
      if (op.action === "makeText") {
        after.text = new Text()
        this.#texts.set(operation, { text: after.text, ...place })
      } else if (op.action.startsWith("make")) {
        after.isNested = true
        this.#nested.set(operation, place)
      }
      this.#written.set(operation, after)
      register.push(operation)
      this.#registers.set(key, register)
    }
    const values = [...new Set(before.map(valueIn))]
    return {
      ...place,
      old: before[0] ? valueIn(before[0]) : null,
      value: () => (after ? valueIn(after) : null),
      settled: values.length > 1 ? values : null,
      isNested: (after?.isNested || before[0]?.isNested) ?? false,
      isFirst: before.length === 0,
    }
  }

  /**
   * The writes of a register that the author of a change saw: they were there, and nothing had ended them. `preds`: those that the change
   * names. What a change has ended that is known, was known: so a long row of edits needs no search.
   */
  #seen(register: readonly string[], preds: readonly string[], number: number): string[] {
    const seen: string[] = []
    const known = new Set([number, ...preds.map((pred) => this.#written.get(pred)?.change ?? number)])
    for (const operation of register.toReversed()) {
      const { change, ended } = this.#written.get(operation) as Written
      const isEnded = ended.some((end) => known.has(end))
      if (!preds.includes(operation) && !isEnded && !this.#isBefore(change, number)) continue
      known.add(change)
      if (!isEnded && !ended.some((end) => this.#isBefore(end, number))) seen.push(operation)
    }
    return seen
  }

  #deed({ row: object, field, old, value, settled, isNested, isFirst, isAgain }: Setting): SetField[] {
    const row = object === null ? undefined : this.#rows.get(object)
    if (row ? SILENT.has(field) : SILENT_IN_PLAN.has(field)) return []
    const now = value()
    // The same value from two people is no conflict for those who read.
    if (old === now && !settled && !isNested && !isAgain) return []
    const name = row ? (this.#names.get(row.position) ?? "") : ""
    const deed: SetField = { kind: "set", position: row?.position ?? null, name, field, old, new: now }
    if (settled) deed.settled = settled
    if (isNested) deed.nested = true
    if (isAgain && old === now) deed.restored = true
    if (row?.isRestored && isFirst && this.#hadValue(row, field, now)) deed.restored = true
    return [deed]
  }

  /** Whether a row that was deleted before this one was made had the value in this field. */
  #hadValue(row: Row, field: string, value: FieldValue): boolean {
    const others = this.#byPosition.get(row.position) ?? []
    return others.some((other) => {
      if (other === row || !other.deletions.some((end) => this.#isBefore(end, row.made))) return false
      const writes = this.#registers.get(`${other.object}/${field}`) ?? []
      return writes.some((write) => valueIn(this.#written.get(write) as Written) === value)
    })
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
      const last = new Map<string, Row["edits"][number]>()
      for (const edit of row.edits) {
        const isSwallowed = row.deletions.every((deletion) => !this.#isBefore(edit.change, deletion))
        const other = last.get(edit.field)
        if (isSwallowed && (!other || byOperation(edit.operation, other.operation) > 0)) last.set(edit.field, edit)
      }
      for (const edit of last.values()) {
        const { change, field, operation, isNested } = edit
        if (this.#isSeenTo(row, edit)) continue
        const by = this.#changes[change] as Change
        const deletion = this.#changes[row.deletions[0] as number] as Change
        const written = this.#written.get(operation)
        found.push({
          at: change,
          key: `${by.hash}/${field}`,
          position: row.position,
          name: this.#names.get(row.position) ?? "",
          field,
          value: written ? valueIn(written) : null,
          nested: isNested || (written?.isNested ?? false),
          who: by.who,
          time: by.time,
          deletedBy: deletion.who,
          deletedAt: deletion.time,
          heads: [...this.#headsBefore(row), by.hash],
        })
      }
    }
    return found.sort((one, other) => other.at - one.at).map(({ at: _, ...swallowed }) => swallowed)
  }

  /** The heads at which a deleted row was there, with all that those who deleted it knew. */
  #headsBefore(row: Row): string[] {
    return row.deletions.flatMap((deletion) => this.#changes[deletion]?.deps ?? [])
  }

  /** The heads before the last deletion of a position; null: nobody has deleted it. */
  beforeDeletion(position: string): string[] | null {
    const rows = this.#byPosition.get(position)?.filter(({ deletions }) => deletions.length > 0) ?? []
    const last = rows.toSorted((one, other) => Math.max(...one.deletions) - Math.max(...other.deletions)).at(-1)
    return last ? this.#headsBefore(last) : null
  }

  /** Whether somebody who had the edit has made the position again, deleted it again, or set this field of it. */
  #isSeenTo(row: Row, { change, field }: Row["edits"][number]): boolean {
    const others = this.#byPosition.get(row.position)?.filter((other) => other !== row) ?? []
    return others.some((other) => {
      const writes = other.edits.filter((edit) => edit.field === field).map((edit) => edit.change)
      return [other.made, ...other.deletions, ...writes].some((later) => this.#isBefore(change, later))
    })
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

/** One setting for each field: what stood there before the change, and what did after it. */
function merged(sets: readonly Setting[]): Setting[] {
  const found = new Map<string, Setting>()
  for (const set of sets) {
    const key = `${set.row}/${set.field}`
    const first = found.get(key)
    found.set(key, first ? { ...first, value: set.value, isNested: first.isNested || set.isNested, isAgain: true } : set)
  }
  return [...found.values()]
}

const valueIn = ({ value, text }: Written): FieldValue => (text ? text.value : value)

function plainValue(op: A.DecodedChange["ops"][number]): FieldValue {
  if (op.action !== "set" || op.value === null || op.value === undefined) return null
  const value: unknown = op.value
  if ("datatype" in op && op.datatype === "timestamp") return new Date(Number(value)).toISOString()
  if (typeof value === "string" || typeof value === "number") return value
  return value instanceof Uint8Array ? `${value.length} bytes` : String(value)
}

/** Messages begin with a name: `CFO: budget of Designer: 9`. */
function author(message: string): string {
  const end = message.indexOf(": ")
  return end > 0 && end <= 60 ? message.slice(0, end) : ""
}
