/**
 * Multi-value registers: all concurrent values at one key of a document. They can be read at any heads and written back.
 *
 * Automerge keeps every concurrent write of a key and shows the highest one. A copy of the shown values would lose the others, and a copy
 * of the known fields would lose the fields of other programs. A register contains all of them.
 */
import { next as A } from "@automerge/automerge/slim"
import { decodeHeads, type UrlHeads } from "@automerge/automerge-repo/slim"

type Key = string | number
export type Path = readonly Key[]

/** A scalar, in the JavaScript type that Automerge stores with the same type again. */
type Scalar = string | number | bigint | boolean | null | Date | Uint8Array | A.Counter | A.ImmutableString | A.Uint | A.Float64

/** A value with everything below it. */
export type Value =
  | { type: "scalar"; value: Scalar }
  | { type: "text"; value: string }
  | { type: "map"; entries: ReadonlyMap<string, Register> }
  | { type: "list"; items: readonly Register[] }

/** A value and the id of the operation that wrote it (`12@actor`). */
export interface RegisterEntry {
  operation: string
  value: Value
}

/** The values at one key in the order of their operations; the last one is shown. Empty if the key is absent. */
export type Register = readonly RegisterEntry[]

/** A register with one value that no operation has written yet. */
export const registerOf = (value: Value): Register => [{ operation: "", value }]
export const scalarValue = (value: Scalar): Value => ({ type: "scalar", value })
export const textValue = (value: string): Value => ({ type: "text", value })

/** Compares operation ids. The highest operation wins. */
export function compareOperationIds(one: string, other: string): number {
  const [counter, actor] = parseOperationId(one)
  const [otherCounter, otherActor] = parseOperationId(other)
  return counter - otherCounter || (actor < otherActor ? -1 : actor > otherActor ? 1 : 0)
}

/** Splits an operation id into counter and actor. */
export function parseOperationId(operation: string): [number, string] {
  const at = operation.indexOf("@")
  return [Number(operation.slice(0, at)), operation.slice(at + 1)]
}

type Backend = ReturnType<typeof A.getBackend>
type Found = ReturnType<Backend["getAll"]>[number]

/** Reads the register at a path, optionally at other heads. The path follows the shown values. */
export function readRegister(doc: A.Doc<unknown>, path: Path, heads?: UrlHeads): Register {
  const backend = A.getBackend(doc)
  const at = heads && decodeHeads(heads)
  let object = "_root"
  for (const key of path.slice(0, -1)) {
    const shown = valuesAt(backend, object, key, at).at(-1)
    if (!shown || (shown[0] !== "map" && shown[0] !== "list")) return []
    object = shown[1]
  }
  const last = path.at(-1)
  return last === undefined ? [] : registerAt(backend, object, last, at)
}

/** Reads rows and fields of the map of positions, optionally at other heads. Faster than {@link readRegister} for many of them. */
export class RowReader {
  #backend: Backend
  #heads: A.Heads | undefined
  /** Object id of the shown map of positions; `null` if there is none. */
  #map: string | null

  constructor(doc: A.Doc<unknown>, heads?: UrlHeads) {
    this.#backend = A.getBackend(doc)
    this.#heads = heads && decodeHeads(heads)
    const shown = valuesAt(this.#backend, "_root", "positions", this.#heads).at(-1)
    this.#map = shown?.[0] === "map" ? shown[1] : null
  }

  /** The rows with an id. There are several if concurrent changes created them. */
  row(id: string): Register {
    return this.#map === null ? [] : registerAt(this.#backend, this.#map, id, this.#heads)
  }

  exists(id: string): boolean {
    return this.rowCount(id) > 0
  }

  /** Number of rows with an id. Cheaper than reading them. */
  rowCount(id: string): number {
    return this.#map === null ? 0 : this.#backend.getAll(this.#map, id, this.#heads).length
  }

  /** All values of a field in the rows with an id, losing rows first. */
  field(id: string, field: string): Register {
    if (this.#map === null) return []
    const rows = valuesAt(this.#backend, this.#map, id, this.#heads)
    return rows.flatMap((row) => (row[0] === "map" ? registerAt(this.#backend, row[1], field, this.#heads) : []))
  }
}

/** The ids of all operations that wrote a register and the values below it. */
export function* operationsIn(register: Register): Generator<string> {
  for (const { operation, value } of register) {
    yield operation
    if (value.type === "map") for (const inner of value.entries.values()) yield* operationsIn(inner)
    else if (value.type === "list") for (const inner of value.items) yield* operationsIn(inner)
  }
}

/** Whether two registers have equal values, in any order. The operations that wrote them are ignored. */
export const hasEqualValues = (one: Register, other: Register): boolean =>
  one.length === other.length && registerFingerprint(one).sort().join("\n") === registerFingerprint(other).sort().join("\n")

/** Whether a key of the path, or one of the keys of the map at its end, has several values. Cheaper than reading them. */
export function hasConflict(doc: A.Doc<unknown>, path: Path, keys: readonly string[]): boolean {
  const backend = A.getBackend(doc)
  let object = "_root"
  for (const [at, key] of path.entries()) {
    const values = valuesAt(backend, object, key)
    if (at === path.length - 1 && values.length > 1) return true
    const shown = values.at(-1)
    if (shown?.[0] !== "map") return false
    object = shown[1]
  }
  return keys.some((key) => backend.getAll(object, key).length > 1)
}

/** The losing values of a conflict at a key of the document. */
export function readLosingValues(doc: A.Doc<unknown>, key: string): Register {
  const backend = A.getBackend(doc)
  const losing = valuesAt(backend, "_root", key).slice(0, -1)
  return losing.map((found) => ({ operation: operationOf(found), value: readValue(backend, found) }))
}

const operationOf = (found: Found): string => (found[2] ?? found[1]) as string

const valuesAt = (backend: Backend, object: string, key: Key, heads?: A.Heads): Found[] =>
  backend.getAll(object, key, heads).sort((one, other) => compareOperationIds(operationOf(one), operationOf(other)))

const registerAt = (backend: Backend, object: string, key: Key, heads?: A.Heads): Register =>
  valuesAt(backend, object, key, heads).map((found) => ({ operation: operationOf(found), value: readValue(backend, found, heads) }))

function readValue(backend: Backend, found: Found, heads?: A.Heads): Value {
  switch (found[0]) {
    case "map":
    case "table": {
      const object = found[1]
      return { type: "map", entries: new Map(backend.keys(object, heads).map((key) => [key, registerAt(backend, object, key, heads)])) }
    }
    case "list": {
      const object = found[1]
      const length = backend.length(object, heads)
      return { type: "list", items: Array.from({ length }, (_, at) => registerAt(backend, object, at, heads)) }
    }
    case "text":
      return textValue(backend.text(found[1], heads))
    case "str":
      return scalarValue(new A.ImmutableString(found[1]))
    case "counter":
      return scalarValue(new A.Counter(Number(found[1])))
    case "uint":
      return scalarValue(Number.isSafeInteger(Number(found[1])) ? new A.Uint(Number(found[1])) : found[1])
    case "f64":
      // Automerge stores a whole JavaScript number as an integer.
      return scalarValue(Number.isInteger(found[1]) ? new A.Float64(found[1]) : found[1])
    default:
      return scalarValue(found[1])
  }
}

/** A value as the document shows it: without losing values, with plain numbers and strings. */
export function toPlainValue(value: Value): unknown {
  switch (value.type) {
    case "map":
      return Object.fromEntries([...value.entries].map(([key, register]) => [key, shownValueOf(register)]))
    case "list":
      return value.items.map(shownValueOf)
    case "text":
      return value.value
    case "scalar": {
      const { value: found } = value
      if (found instanceof A.ImmutableString) return found.val
      return found instanceof A.Counter || found instanceof A.Uint || found instanceof A.Float64 ? found.value : found
    }
  }
}

const shownValueOf = (register: Register): unknown => {
  const shown = register.at(-1)
  return shown && toPlainValue(shown.value)
}

/** Whether two values are equal, losing values included. The operations that wrote them are ignored. */
export const isEqualValue = (one: Value, other: Value): boolean => fingerprint(one) === fingerprint(other)

function fingerprint(value: Value): string {
  switch (value.type) {
    case "map":
      return JSON.stringify(
        [...value.entries].sort(([one], [other]) => (one < other ? -1 : 1)).map(([key, register]) => [key, registerFingerprint(register)]),
      )
    case "list":
      return JSON.stringify([value.items.map(registerFingerprint)])
    default: {
      const plain = toPlainValue(value)
      const kind = plain instanceof Date ? "date" : plain instanceof Uint8Array ? "bytes" : typeof plain
      return `${kind} ${plain instanceof Date ? plain.getTime() : String(plain)}`
    }
  }
}

const registerFingerprint = (register: Register): string[] => register.map(({ value }) => fingerprint(value))

/**
 * Merges rows that concurrent changes created with one id: the fields of the last row, fields that only another row has, and differing
 * values of the other rows as losing values. Entries that are not maps stay as they are.
 */
export function mergeConcurrentRows(rows: Register): Register {
  const maps = rows.flatMap(({ operation, value }) => (value.type === "map" ? [{ operation, value }] : []))
  const shown = maps.at(-1)
  if (!shown || maps.length < 2) return rows
  const keys = new Set(maps.toReversed().flatMap(({ value }) => [...value.entries.keys()]))
  const entries = new Map<string, Register>()
  for (const key of keys) {
    const own = shown.value.entries.get(key) ?? []
    const others = maps.slice(0, -1).flatMap(({ value }) => value.entries.get(key) ?? [])
    const losing = others.filter(
      (one, at) =>
        !own.some((other) => isEqualValue(one.value, other.value)) &&
        others.findIndex((other) => isEqualValue(one.value, other.value)) === at,
    )
    entries.set(key, [...losing, ...own])
  }
  return [...rows.filter(({ value }) => value.type !== "map"), { operation: shown.operation, value: { type: "map", entries } }]
}

/** A register to write at a path. */
export interface RegisterWrite {
  path: Path
  register: Register
}

/** A document that registers can be written to. */
export interface WritableDocument<T> {
  heads(): UrlHeads
  change(callback: A.ChangeFn<T>, options?: A.ChangeOptions<T>): void
  changeAt(heads: UrlHeads, callback: A.ChangeFn<T>, options?: A.ChangeOptions<T>): UrlHeads | undefined
}

/**
 * Writes registers with all their values. To recreate a conflict, each value is written in a change of its own at the same heads, so that
 * the changes are concurrent. The shown value is written last and gets the highest operation.
 */
export function writeRegisters<T>(doc: WritableDocument<T>, heads: UrlHeads, writes: readonly RegisterWrite[], message: string): void {
  writeBranch(doc, heads, writes, message, false)
}

/** `isBranch`: each value is one of several and must be written even if it equals the current value, which Automerge would skip. */
function writeBranch<T>(
  doc: WritableDocument<T>,
  heads: UrlHeads,
  writes: readonly RegisterWrite[],
  message: string,
  isBranch: boolean,
): void {
  const conflicts: RegisterWrite[] = writes.filter(({ register }) => register.length > 1)
  const change = (root: unknown) => {
    let parent: { path: Path; object: unknown } | null = null
    /** The writes of a row follow each other, and looking up its object takes as long as a write. */
    const parentOf = (path: Path): unknown => {
      const isSame =
        parent !== null && parent.path.length === path.length && parent.path.every((key, at) => at === path.length - 1 || key === path[at])
      if (!parent || !isSame) parent = { path, object: lookUp(root, path.slice(0, -1)) }
      return parent.object
    }
    for (const { path, register } of writes) {
      if (register.length > 1) continue
      const typed: TypedNumber[] = []
      if (isBranch) assignValue(parentOf(path), path, undefined)
      assignValue(parentOf(path), path, register[0] && toAssignable(register[0].value, path, conflicts, typed))
      for (const { path, value } of typed) assignValue(lookUp(root, path.slice(0, -1)), path, value)
    }
  }
  const isPlain = conflicts.length < writes.length
  const after = (isPlain ? changeFrom(doc, heads, change as A.ChangeFn<T>, message) : undefined) ?? heads
  const valueCount = Math.max(0, ...conflicts.map(({ register }) => register.length))
  for (let at = 0; at < valueCount; at += 1) {
    const branch = conflicts.map(({ path, register }) => ({ path, register: register.slice(at, at + 1) }))
    writeBranch(
      doc,
      after,
      branch.filter(({ register }) => register.length > 0),
      message,
      true,
    )
  }
}

/** Makes a change at the given heads. A change at the current heads is cheaper. */
function changeFrom<T>(doc: WritableDocument<T>, heads: UrlHeads, change: A.ChangeFn<T>, message: string): UrlHeads | undefined {
  const current = doc.heads()
  if (heads.length !== current.length || !heads.every((head) => current.includes(head))) return doc.changeAt(heads, change, { message })
  doc.change(change, { message })
  return doc.heads()
}

function lookUp(root: unknown, path: Path): unknown {
  let object = root
  for (const key of path) object = (object as Record<Key, unknown> | undefined)?.[key]
  return object
}

/** Assigns a value to the last key of the path; `undefined` deletes the key. */
function assignValue(parent: unknown, path: Path, value: unknown): void {
  const key = path.at(-1)
  if (typeof parent !== "object" || parent === null || key === undefined) return
  if (value !== undefined) (parent as Record<Key, unknown>)[key] = value
  // Items of a list are replaced and never deleted.
  else if (!Array.isArray(parent)) delete (parent as Record<Key, unknown>)[key]
}

/** A number whose type Automerge keeps only in a direct assignment, not inside a map or list. */
interface TypedNumber {
  path: Path
  value: A.Uint | A.Float64
}

/** Converts a value for assignment. Conflicts below it and typed numbers are collected, to be written separately. */
function toAssignable(value: Value, path: Path, conflicts: RegisterWrite[], typed: TypedNumber[]): unknown {
  switch (value.type) {
    case "map": {
      const entries: [string, unknown][] = []
      for (const [key, register] of value.entries) {
        if (register.length > 1) conflicts.push({ path: [...path, key], register })
        else if (register[0]) entries.push([key, toAssignable(register[0].value, [...path, key], conflicts, typed)])
      }
      return Object.fromEntries(entries)
    }
    case "list":
      return value.items.map((register, at) => {
        if (register.length === 1 && register[0]) return toAssignable(register[0].value, [...path, at], conflicts, typed)
        // A list item must exist before its values can be written. The placeholder is replaced by them.
        conflicts.push({ path: [...path, at], register })
        return ""
      })
    case "text":
      return value.value
    case "scalar": {
      const found = value.value
      if (found instanceof A.Uint || found instanceof A.Float64) {
        typed.push({ path, value: found })
        return found.value
      }
      return found
    }
  }
}
