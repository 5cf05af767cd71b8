/**
 * Comments on positions: the map `comments` of a row, by id.
 *
 * Two people who write the first comments of a row at the same time create two maps, of which Automerge shows one. The map cannot be made by
 * a fixed change, as its object differs by row. All concurrent maps are therefore read, and their entries are shown together. Comments are
 * written into the shown map, and no map is ever assigned over another one, so that none is lost. An entry of a losing map that is edited is
 * copied into the shown map under its id. Of several entries with one id, the one that was written last is shown.
 */
import { next as A } from "@automerge/automerge/slim"
import type { UrlHeads } from "@automerge/automerge-repo/slim"
import type { Plan } from "./edit"
import { newId } from "./id"
import {
  compareOperationIds,
  hasEqualValues,
  operationsIn,
  type Register,
  type RegisterEntry,
  type RegisterWrite,
  RowReader,
  registerOf,
  scalarValue,
  textValue,
  toPlainValue,
  type Value,
  writeRegisters,
} from "./multi-value-register"
import { MAX_TEXT, shownText, toTimestamp } from "./schema"
import { countCharacters, isBlank, truncate } from "./text"

/** Field of a row. */
export const COMMENTS = "comments"

export interface Comment {
  id: string
  by: string
  /** Milliseconds since 1970; `null` if none is stored. */
  at: number | null
  text: string
  /** The comment is resolved. */
  done: boolean
}

/** A comment of a position. */
export interface CommentAddress {
  position: string
  comment: string
}

type MapValue = Extract<Value, { type: "map" }>
type Entries = MapValue["entries"]

/** Why a text is not a valid comment; `null` if it is valid. */
export function validateComment(text: string): string | null {
  if (isBlank(text)) return "Write a comment first."
  return countCharacters(text) > MAX_TEXT ? `Use at most ${MAX_TEXT.toLocaleString()} characters.` : null
}

/** All maps of comments of a position: those of losing rows first, the shown one last. */
const mapsOf = (reader: RowReader, position: string): Entries[] =>
  reader.field(position, COMMENTS).flatMap(({ value }) => (value.type === "map" ? [value.entries] : []))

/** The values with the id of a comment in all maps. */
export const commentRegister = (reader: RowReader, { position, comment }: CommentAddress): Register =>
  mapsOf(reader, position).flatMap((entries) => entries.get(comment) ?? [])

const lastOperation = (entry: RegisterEntry): string =>
  [...operationsIn([entry])].reduce((one, other) => (compareOperationIds(one, other) > 0 ? one : other))

/** The entry that was written last; `null` if there is none that is a map. */
function latestEntry(register: Register): Entries | null {
  const found = register.filter(({ value }) => value.type === "map")
  if (found.length === 0) return null
  const latest = found.reduce((one, other) => (compareOperationIds(lastOperation(one), lastOperation(other)) > 0 ? one : other))
  return (latest.value as MapValue).entries
}

function toComment(id: string, entries: Entries): Comment {
  const shown = (key: string) => {
    const value = entries.get(key)?.at(-1)?.value
    return value && toPlainValue(value)
  }
  return {
    id,
    by: shownText(entries.get("by")),
    at: toTimestamp(shown("at")),
    text: shownText(entries.get("text")),
    done: shown("done") === true,
  }
}

/**
 * The comments of a position, oldest first. Entries without a text are left out. `isMerged`: they are in several maps or rows, of which
 * Automerge does not report every change.
 */
export function readComments(reader: RowReader, position: string): { comments: readonly Comment[]; isMerged: boolean } {
  const registers = new Map<string, RegisterEntry[]>()
  const maps = mapsOf(reader, position)
  for (const entries of maps) {
    for (const [id, register] of entries) registers.set(id, [...(registers.get(id) ?? []), ...register])
  }
  const comments = [...registers].flatMap(([id, register]): Comment[] => {
    const entries = latestEntry(register)
    const comment = entries && toComment(id, entries)
    return comment && !isBlank(comment.text) ? [comment] : []
  })
  comments.sort((one, other) => (one.at ?? 0) - (other.at ?? 0) || (one.id < other.id ? -1 : 1))
  return { comments, isMerged: maps.length > 1 || reader.rowCount(position) > 1 }
}

/** Adds a comment. Returns its id; `null` if the position does not exist, or has another value in the place of comments. */
export function addComment(plan: Plan, position: string, text: string, author: string): string | null {
  const comment = newId()
  const entries: Entries = new Map([
    ["by", registerOf(textValue(author))],
    ["at", registerOf(scalarValue(new Date()))],
    ["text", registerOf(textValue(text))],
    ["done", registerOf(scalarValue(false))],
  ])
  const message = `${author}: commented on ${nameOf(plan, position)}: ${truncate(text)}`
  return writeEntry(plan, { position, comment }, entries, message) ? comment : null
}

/** Resolves or reopens a comment. Returns whether there is one to write. */
export function setCommentDone(plan: Plan, address: CommentAddress, done: boolean, author: string): boolean {
  const entries = latestEntry(commentRegister(new RowReader(plan.doc()), address))
  if (!entries) return false
  const message = `${author}: ${done ? "resolved" : "reopened"} a comment on ${nameOf(plan, address.position)}`
  return writeEntry(plan, address, new Map([...entries, ["done", registerOf(scalarValue(done))]]), message)
}

/** Deletes a comment from all maps. */
export function deleteComment(plan: Plan, address: CommentAddress, author: string): void {
  removeEntry(plan, address, `${author}: deleted a comment on ${nameOf(plan, address.position)}`)
}

/** Gives a comment the values of other heads: undoes an edit, an addition or a deletion. */
export function revertComment(plan: Plan, address: CommentAddress, heads: UrlHeads, message: string): boolean {
  const was = latestEntry(commentRegister(new RowReader(plan.doc(), heads), address))
  return was ? writeEntry(plan, address, was, message) : removeEntry(plan, address, message)
}

/** Recovers the comments of other heads that a deletion of the position discarded. Other comments stay as they are. */
export function recoverComments(plan: Plan, position: string, heads: UrlHeads, author: string): CommentAddress[] {
  const reader = new RowReader(plan.doc(), heads)
  const current = new Map(readComments(new RowReader(plan.doc()), position).comments.map((comment) => [comment.id, comment]))
  const changed = readComments(reader, position).comments.filter(({ id, done }) => current.get(id)?.done !== done)
  const message = `${author}: recovered comments on ${nameOf(plan, position)}`
  return changed.map(({ id }) => ({ position, comment: id })).filter((address) => revertComment(plan, address, heads, message))
}

/** Writes an entry into the shown map, which is created in the same change if there is none. Other entries are not touched. */
function writeEntry(plan: Plan, { position, comment }: CommentAddress, entries: Entries, message: string): boolean {
  const reader = new RowReader(plan.doc())
  const row = reader.row(position).at(-1)?.value
  if (row?.type !== "map") return false
  const map = row.entries.get(COMMENTS)?.at(-1)?.value
  const path = ["positions", position, COMMENTS]
  // Concurrent values inside an entry are settled by the last one.
  const flat: Entries = new Map([...entries].map(([key, register]) => [key, register.slice(-1)]))
  const value: MapValue = { type: "map", entries: flat }
  const writes = (): RegisterWrite[] => {
    if (map?.type !== "map") return [{ path, register: registerOf({ type: "map", entries: new Map([[comment, registerOf(value)]]) }) }]
    const own = map.entries.get(comment)?.at(-1)?.value
    if (own?.type !== "map") return [{ path: [...path, comment], register: registerOf(value) }]
    const keys = [...new Set([...own.entries.keys(), ...flat.keys()])]
    return keys
      .filter((key) => !hasEqualValues(own.entries.get(key) ?? [], flat.get(key) ?? []))
      .map((key) => ({ path: [...path, comment, key], register: flat.get(key) ?? [] }))
  }
  // Another program has stored something else here. It is kept.
  if (map !== undefined && map.type !== "map") return false
  writeRegisters(plan, plan.heads(), writes(), message)
  return true
}

/** Deletes an entry from all concurrent maps. They can be modified inside a change callback. */
function removeEntry(plan: Plan, { position, comment }: CommentAddress, message: string): boolean {
  let isRemoved = false
  plan.change(
    (doc) => {
      for (const row of valuesAt(doc.positions, position)) {
        for (const map of valuesAt(row, COMMENTS)) {
          if (!Object.hasOwn(map, comment)) continue
          delete map[comment]
          isRemoved = true
        }
      }
    },
    { message },
  )
  return isRemoved
}

/** All maps at a key of an object inside a change callback. */
function valuesAt(object: object | undefined, key: string): Record<string, unknown>[] {
  if (object === undefined) return []
  const conflicts = A.getConflicts(object as A.Doc<Record<string, unknown>>, key)
  const values = conflicts ? Object.values(conflicts) : [(object as Record<string, unknown>)[key]]
  return values.filter((value): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value))
}

function nameOf(plan: Plan, position: string): string {
  return shownText(new RowReader(plan.doc()).field(position, "designation"))
}
