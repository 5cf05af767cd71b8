/**
 * What people do to a plan, as changes of its document.
 *
 * Fields are assigned whole, so that two who set one at once see a conflict instead of one vanishing in the other's text. A
 * row is assigned whole only when it is made. Every change says who did what.
 */
import { next as A } from "@automerge/automerge/slim"
import type { DocHandle, UrlHeads } from "@automerge/automerge-repo/slim"
import { newId } from "./id"
import {
  mergeTwins,
  plainOf,
  type Register,
  readLosing,
  readRegister,
  registerOf,
  scalar,
  text,
  type Write,
  writeRegisters,
} from "./register"
import {
  asField,
  type Field,
  type FieldValue,
  fieldIn,
  isSameSetting,
  MAX_BUDGET,
  MAX_TEXT,
  type PlanDoc,
  type PlanState,
  type Position,
  type PositionDoc,
  readPlan,
  readRow,
  rowsOf,
  SETTINGS,
  type Setting,
  type Settings,
} from "./schema"
import { countCharacters, isBlank } from "./text"

/** A position to create. */
export interface NewPosition {
  designation: string
  department: string
  /** null: unknown. No key is stored then. */
  budget: number | null
  location: string
}

/** A row that was deleted: its whole content is in the document at `heads`. */
export interface Deleted {
  id: string
  heads: UrlHeads
  /** A value that takes the place of what the row held. */
  typed?: { field: Field; value: FieldValue }
}

/** The document that is edited. */
export type Plan = Pick<DocHandle<PlanDoc>, "doc" | "heads" | "change" | "changeAt">

/** A position as somebody had it before them, and when that was. */
export interface Seen {
  position: Position
  heads: UrlHeads
}

/** The plan's settings as somebody had them before them, and when that was. */
export interface PlanSeen extends PlanState {
  heads: UrlHeads
}

/** Why a value cannot be taken, in words for whoever typed it; null: it can. */
export function problemWith(field: Field, value: FieldValue): string | null {
  if (field === "budget") {
    // An unknown budget.
    if (value === null) return null
    if (typeof value !== "number" || !Number.isFinite(value)) return "A budget is a number."
    if (value < 0) return "A budget cannot be below zero."
    return value > MAX_BUDGET ? "This number is too large." : null
  }
  const text = typeof value === "string" ? value : ""
  if (field === "designation" && isBlank(text)) return "A position needs a designation."
  return countCharacters(text) > MAX_TEXT ? `At most ${MAX_TEXT.toLocaleString()} characters fit.` : null
}

const rowOf = ({ designation, department, budget, location }: NewPosition, created: number, who: string): PositionDoc => ({
  designation,
  department,
  ...(budget !== null && { budget }),
  location,
  createdAt: new Date(created),
  updatedAt: new Date(),
  updatedBy: who,
})

/** Makes positions, in one change. The first of them comes first in the list. Returns their ids. */
export function add(plan: Plan, positions: readonly NewPosition[], who: string): string[] {
  const now = Date.now()
  const ids = positions.map(() => newId())
  const what = positions.length === 1 ? positions[0]?.designation : `${positions.length} positions`
  plan.change(
    (doc) => {
      // A document that somebody else began may have none.
      if (!doc.positions) doc.positions = {}
      positions.forEach((position, at) => {
        const id = ids[at]
        if (id) doc.positions[id] = rowOf(position, now - at, who)
      })
    },
    { message: `${who}: added ${what}` },
  )
  return ids
}

/**
 * Sets one field of one position. `seen`: what somebody had before them, where others have set the field since or deleted the
 * position: then both stand there, as a conflict or as an edit that was swallowed, and nobody's vanishes.
 */
export function set(plan: Plan, id: string, field: Field, value: FieldValue, who: string, seen: Seen | null = null): void {
  const row = rowsOf(plan.doc())[id] as PositionDoc | undefined
  const name = row ? asField("designation", row.designation) : seen?.position.designation
  const change = (doc: PlanDoc) => {
    const row = doc.positions[id]
    if (!row) return
    if (field !== "budget") row[field] = String(value ?? "")
    else if (value === null) delete row.budget
    else row.budget = value as number
    stamp(row, who)
  }
  const said = { message: `${who}: ${field} of ${name}: ${value ?? "empty"}` }
  if (seen) plan.changeAt(seen.heads, change, said)
  else plan.change(change, said)
}

function stamp(row: PositionDoc, who: string): void {
  row.updatedAt = new Date()
  row.updatedBy = who
}

/** The same for a row that is written whole. */
const stamps = (who: string): [string, Register][] => [
  ["updatedAt", registerOf(scalar(new Date()))],
  ["updatedBy", registerOf(text(who))],
]

/** A row with other values in some of its fields. A row that is no map stays as it is. */
function withFields(row: Register, fields: readonly (readonly [string, Register])[]): Register {
  return row.map(({ operation, value }) => ({
    operation,
    value: value.type === "map" ? { type: "map", entries: new Map([...value.entries, ...fields]) } : value,
  }))
}

/** What stands in a field, with all values of a conflict: to be given to {@link putBack}. */
export const readField = (plan: Pick<Plan, "doc">, id: string, field: Field): Register => fieldIn(readRow(plan.doc(), id), field)

/**
 * Takes an edit of a field back: what stood there comes back, a conflict with all of its values. `seen`: the row after that edit, where
 * others have set the field since: theirs stays beside it.
 */
export function putBack(plan: Plan, id: string, field: Field, before: Register, who: string, seen: Seen | null = null): void {
  writeFields(plan, id, seen?.heads ?? plan.heads(), [[field, before]], who, `${who}: took back a change of ${field}`)
}

/** Gives a field, of any name, what it holds at these heads in a row of the same id: an edit that a deletion swallowed. */
export function take(plan: Plan, id: string, field: string, heads: UrlHeads, who: string): void {
  const row = readRegister(plan.doc(), ["positions", id], heads)
  const found = fieldIn(row, field)
  if (row.length > 0)
    writeFields(plan, id, plan.heads(), [[field, found]], who, `${who}: ${field} of ${nameIn(row)} as somebody had set it`)
}

function writeFields(plan: Plan, id: string, heads: UrlHeads, fields: readonly [string, Register][], who: string, said: string): void {
  const writes = [...stamps(who), ...fields].map(([key, register]): Write => ({ path: ["positions", id, key], register }))
  writeRegisters(plan, heads, writes, said)
}

/**
 * Ends a conflict with one of its values: the one that this operation wrote. Where several rows stand at the id, as two people restored
 * it at once, one row takes the place of all, with what only one of them had, and the conflicts of the other fields.
 */
export function settle(plan: Plan, id: string, field: Field, operation: string, who: string): void {
  const row = readRow(plan.doc(), id)
  const chosen = fieldIn(row, field).filter((written) => written.operation === operation)
  // Somebody else has settled it meanwhile. (Where the row that is shown has no such field, no operation has written it.)
  if (chosen.length === 0 && operation !== "") return
  const said = `${who}: settled ${field} of ${nameIn(row)}`
  const maps = row.filter(({ value }) => value.type === "map")
  if (maps.length > 1) {
    // The moment of its making is no matter for a conflict.
    const created = fieldIn(row, "createdAt").slice(-1)
    const merged = withFields(mergeTwins(row), [...stamps(who), ["createdAt", created], [field, chosen]])
    writeRegisters(plan, plan.heads(), [{ path: ["positions", id], register: merged }], said)
    return
  }
  writeFields(plan, id, plan.heads(), [[field, chosen]], who, said)
}

const nameIn = (row: Register): string => {
  const designation = fieldIn(row, "designation").at(-1)
  return String(asField("designation", designation && plainOf(designation.value)))
}

/** Ends a conflict of a setting with the value that this operation wrote. */
export function settleSetting(plan: Plan, key: Setting, operation: string, who: string): void {
  const chosen = readRegister(plan.doc(), [key]).filter((written) => written.operation === operation)
  if (chosen.length > 0) writeRegisters(plan, plan.heads(), [{ path: [key], register: chosen }], `${who}: settled ${key} of the plan`)
}

/** Deletes positions, in one change. */
export function remove(plan: Plan, ids: readonly string[], names: string, who: string): void {
  plan.change(
    (doc) => {
      for (const id of ids) delete doc.positions[id]
    },
    { message: `${who}: deleted ${names}` },
  )
}

/**
 * Brings deleted positions back under their ids, whole: every field, and every value of a conflict. Those that are there again are left
 * alone. `deleted`: the heads after the deletion that this takes back: edits that it swallowed and of which nobody knew then stay to be
 * looked at. Returns the ids that could not be restored, as the row is not in the document at these heads.
 */
export function restore(plan: Plan, positions: readonly Deleted[], who: string, deleted: UrlHeads | null = null): string[] {
  const there = rowsOf(plan.doc())
  const gone = positions.filter((position) => !Object.hasOwn(there, position.id))
  const rows = gone.map(({ id, heads, typed }) => {
    const own = typed ? [[typed.field, registerWith(typed.field, typed.value)] as const] : []
    return { id, row: withFields(readRegister(plan.doc(), ["positions", id], heads), [...stamps(who), ...own]) }
  })
  const found = rows.filter(({ row }) => row.length > 0)
  const writes = found.map(({ id, row }): Write => ({ path: ["positions", id], register: row }))
  const what = found.length === 1 ? nameIn(found[0]?.row ?? []) : `${found.length} positions`
  if (found.length > 0) writeRegisters(plan, deleted ?? plan.heads(), writes, `${who}: restored ${what}`)
  return rows.filter(({ row }) => row.length === 0).map(({ id }) => id)
}

function registerWith(field: Field, value: FieldValue): Register {
  if (field !== "budget") return registerOf(text(String(value ?? "")))
  return value === null ? [] : registerOf(scalar(value))
}

/**
 * Changes what the plan says about itself. `seen`: what somebody had before them; what others have set since stays beside it,
 * as a conflict. Returns whether any did.
 */
export function describe(plan: Plan, settings: Partial<Settings>, who: string, seen: PlanSeen | null = null): boolean {
  const now = readPlan(plan.doc())
  const isContested = (key: Setting) => seen !== null && !isSameSetting(seen, now, key)
  const keys = SETTINGS.filter((key) => settings[key] !== undefined)
  const contested = keys.filter(isContested)
  const write = (chosen: readonly Setting[], at: UrlHeads | null) => {
    const change = (doc: PlanDoc) => {
      for (const key of chosen) {
        if (settings[key] === null) delete doc[key]
        else Object.assign(doc, { [key]: settings[key] })
      }
    }
    const said = { message: `${who}: ${chosen.join(", ")} of the plan` }
    if (at) plan.changeAt(at, change, said)
    else if (chosen.length > 0) plan.change(change, said)
  }
  write(
    keys.filter((key) => !isContested(key)),
    null,
  )
  if (seen && contested.length > 0) write(contested, seen.heads)
  return contested.length > 0
}

/**
 * Rows that no list shows: concurrent changes made several maps of positions, and Automerge shows one. Ids and rows, of the other maps.
 */
export function hiddenRows(plan: Pick<Plan, "doc">): [string, Register][] {
  return readLosing(plan.doc(), "positions").flatMap(({ value }) => (value.type === "map" ? [...value.entries] : []))
}

/** Moves the rows that no list shows to the one that is shown. Where a row of the same id is there, both become one. */
export function showHidden(plan: Plan, who: string): void {
  const hidden = hiddenRows(plan)
  const ids = [...new Set(hidden.map(([id]) => id))]
  const writes = ids.map((id): Write => {
    const rows = hidden.flatMap(([other, row]) => (other === id ? row : []))
    return { path: ["positions", id], register: mergeTwins([...rows, ...readRow(plan.doc(), id)]) }
  })
  const said = `${who}: added ${ids.length} positions of another list`
  writeRegisters(plan, plan.heads(), writes, said)
  plan.change(
    (doc) => {
      // Within a change the losing maps can be changed, too.
      const maps = Object.values(A.getConflicts(doc, "positions") ?? {}) as unknown as Record<string, unknown>[]
      for (const map of maps) {
        if (A.getObjectId(map) === A.getObjectId(doc.positions)) continue
        for (const id of Object.keys(map)) delete map[id]
      }
    },
    { message: said },
  )
}
