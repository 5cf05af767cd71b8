/**
 * What people do to a plan, as changes of its document.
 *
 * Fields are assigned whole, so that two who set one at once see a conflict instead of one vanishing in the other's text. A
 * row is assigned whole only when it is made. Every change says who did what.
 */
import { next as A } from "@automerge/automerge/slim"
import type { DocHandle, UrlHeads } from "@automerge/automerge-repo/slim"
import { type FieldKey, type FieldValues, fieldNoun, isAmountField, isRequiredField, storedFields } from "./fields"
import { newId } from "./id"
import {
  mergeConcurrentRows,
  type Register,
  type RegisterWrite,
  readLosingValues,
  readRegister,
  registerOf,
  scalarValue,
  textValue,
  toPlainValue,
  writeRegisters,
} from "./multi-value-register"
import {
  type FieldValue,
  fieldRegister,
  isEqualSetting,
  MAX_AMOUNT,
  MAX_TEXT,
  type PlanDoc,
  type Position,
  type PositionDoc,
  readRowRegister,
  readSettingsState,
  rowsOf,
  SETTINGS,
  type Setting,
  type Settings,
  type SettingsState,
  toFieldValue,
} from "./schema"
import { countCharacters, isBlank } from "./text"

/** A position to create. */
export type NewPosition = FieldValues

/** A row that was deleted: its whole content is in the document at `heads`. */
export interface DeletedPosition {
  id: string
  heads: UrlHeads
  /** A value that takes the place of what the row held. */
  override?: { field: FieldKey; value: FieldValue }
}

/** The document that is edited. */
export type Plan = Pick<DocHandle<PlanDoc>, "doc" | "heads" | "change" | "changeAt">

/** A position as somebody had it before them, and when that was. */
export interface PositionAtHeads {
  position: Position
  heads: UrlHeads
}

/** The plan's settings as somebody had them before them, and when that was. */
export interface SettingsAtHeads extends SettingsState {
  heads: UrlHeads
}

/** Why a value cannot be taken, in words for whoever typed it; null: it can. */
export function validateField(field: FieldKey, value: FieldValue): string | null {
  const noun = fieldNoun(field)
  if (isAmountField(field)) {
    if (value === null) return null
    if (typeof value !== "number" || !Number.isFinite(value)) return `A ${noun} must be a number.`
    if (value < 0) return `A ${noun} cannot be negative.`
    return value > MAX_AMOUNT ? "This number is too large." : null
  }
  const text = typeof value === "string" ? value : ""
  if (isRequiredField(field) && isBlank(text)) return `A position needs a ${noun}.`
  return countCharacters(text) > MAX_TEXT ? `At most ${MAX_TEXT.toLocaleString()} characters fit.` : null
}

const toPositionDoc = (position: NewPosition, created: number, author: string): PositionDoc => ({
  ...storedFields(position),
  createdAt: new Date(created),
  updatedAt: new Date(),
  updatedBy: author,
})

/** Makes positions, in one change. The first of them comes first in the list. Returns their ids. */
export function addPositions(plan: Plan, positions: readonly NewPosition[], author: string): string[] {
  const now = Date.now()
  const ids = positions.map(() => newId())
  const what = positions.length === 1 ? positions[0]?.designation : `${positions.length} positions`
  plan.change(
    (doc) => {
      // A document that somebody else began may have none.
      if (!doc.positions) doc.positions = {}
      positions.forEach((position, at) => {
        const id = ids[at]
        if (id) doc.positions[id] = toPositionDoc(position, now - at, author)
      })
    },
    { message: `${author}: added ${what}` },
  )
  return ids
}

/**
 * Sets one field of one position. `seen`: what somebody had before them, where others have set the field since or deleted the
 * position: then both stand there, as a conflict or as an edit that was swallowed, and nobody's vanishes.
 */
export function setField(
  plan: Plan,
  id: string,
  field: FieldKey,
  value: FieldValue,
  author: string,
  base: PositionAtHeads | null = null,
): void {
  const row = rowsOf(plan.doc())[id] as PositionDoc | undefined
  const name = row ? toFieldValue("designation", row.designation) : base?.position.designation
  const change = (doc: PlanDoc) => {
    const row = doc.positions[id]
    if (!row) return
    if (!isAmountField(field)) row[field] = String(value ?? "")
    else if (value === null) delete row[field]
    else row[field] = value as number
    setUpdateInfo(row, author)
  }
  const message = { message: `${author}: ${field} of ${name}: ${value ?? "empty"}` }
  if (base) plan.changeAt(base.heads, change, message)
  else plan.change(change, message)
}

function setUpdateInfo(row: PositionDoc, author: string): void {
  row.updatedAt = new Date()
  row.updatedBy = author
}

/** The same for a row that is written whole. */
const updateInfoRegisters = (author: string): [string, Register][] => [
  ["updatedAt", registerOf(scalarValue(new Date()))],
  ["updatedBy", registerOf(textValue(author))],
]

/** A row with other values in some of its fields. A row that is no map stays as it is. */
function withFields(row: Register, fields: readonly (readonly [string, Register])[]): Register {
  return row.map(({ operation, value }) => ({
    operation,
    value: value.type === "map" ? { type: "map", entries: new Map([...value.entries, ...fields]) } : value,
  }))
}

/** What stands in a field, with all values of a conflict: to be given to {@link revertField}. */
export const readFieldRegister = (plan: Pick<Plan, "doc">, id: string, field: FieldKey): Register =>
  fieldRegister(readRowRegister(plan.doc(), id), field)

/**
 * Takes an edit of a field back: what stood there comes back, a conflict with all of its values. `seen`: the row after that edit, where
 * others have set the field since: theirs stays beside it.
 */
export function revertField(
  plan: Plan,
  id: string,
  field: FieldKey,
  before: Register,
  author: string,
  base: PositionAtHeads | null = null,
): void {
  writeFields(plan, id, base?.heads ?? plan.heads(), [[field, before]], author, `${author}: took back a change of ${field}`)
}

/** Gives a field, of any name, what it holds at these heads in a row of the same id: an edit that a deletion swallowed. */
export function restoreFieldValue(plan: Plan, id: string, field: string, heads: UrlHeads, author: string): void {
  const row = readRegister(plan.doc(), ["positions", id], heads)
  const restorable = fieldRegister(row, field)
  if (row.length > 0)
    writeFields(
      plan,
      id,
      plan.heads(),
      [[field, restorable]],
      author,
      `${author}: ${field} of ${designationOf(row)} as somebody had set it`,
    )
}

function writeFields(
  plan: Plan,
  id: string,
  heads: UrlHeads,
  fields: readonly [string, Register][],
  author: string,
  message: string,
): void {
  const writes = [...updateInfoRegisters(author), ...fields].map(
    ([key, register]): RegisterWrite => ({ path: ["positions", id, key], register }),
  )
  writeRegisters(plan, heads, writes, message)
}

/**
 * Ends a conflict with one of its values: the one that this operation wrote. Where several rows stand at the id, as two people restored
 * it at once, one row takes the place of all, with what only one of them had, and the conflicts of the other fields.
 */
export function resolveConflict(plan: Plan, id: string, field: FieldKey, operation: string, author: string): void {
  const row = readRowRegister(plan.doc(), id)
  const chosen = fieldRegister(row, field).filter((written) => written.operation === operation)
  // Somebody else has settled it meanwhile. (Where the row that is shown has no such field, no operation has written it.)
  if (chosen.length === 0 && operation !== "") return
  const message = `${author}: settled ${field} of ${designationOf(row)}`
  const maps = row.filter(({ value }) => value.type === "map")
  if (maps.length > 1) {
    // The moment of its making is no matter for a conflict.
    const created = fieldRegister(row, "createdAt").slice(-1)
    const merged = withFields(mergeConcurrentRows(row), [...updateInfoRegisters(author), ["createdAt", created], [field, chosen]])
    writeRegisters(plan, plan.heads(), [{ path: ["positions", id], register: merged }], message)
    return
  }
  writeFields(plan, id, plan.heads(), [[field, chosen]], author, message)
}

const designationOf = (row: Register): string => {
  const designation = fieldRegister(row, "designation").at(-1)
  return String(toFieldValue("designation", designation && toPlainValue(designation.value)))
}

/** Ends a conflict of a setting with the value that this operation wrote. */
export function resolveSettingConflict(plan: Plan, key: Setting, operation: string, author: string): void {
  const chosen = readRegister(plan.doc(), [key]).filter((written) => written.operation === operation)
  if (chosen.length > 0) writeRegisters(plan, plan.heads(), [{ path: [key], register: chosen }], `${author}: settled ${key} of the plan`)
}

/** Deletes positions, in one change. */
export function deletePositions(plan: Plan, ids: readonly string[], names: string, author: string): void {
  plan.change(
    (doc) => {
      for (const id of ids) delete doc.positions[id]
    },
    { message: `${author}: deleted ${names}` },
  )
}

/**
 * Brings deleted positions back under their ids, whole: every field, and every value of a conflict. Those that are there again are left
 * alone. `deleted`: the heads after the deletion that this takes back: edits that it swallowed and of which nobody knew then stay to be
 * looked at. Returns the ids that could not be restored, as the row is not in the document at these heads.
 */
export function restorePositions(
  plan: Plan,
  positions: readonly DeletedPosition[],
  author: string,
  deletionHeads: UrlHeads | null = null,
): string[] {
  const existing = rowsOf(plan.doc())
  const missing = positions.filter((position) => !Object.hasOwn(existing, position.id))
  const rows = missing.map(({ id, heads, override }) => {
    const own = override ? [[override.field, registerForField(override.field, override.value)] as const] : []
    return { id, row: withFields(readRegister(plan.doc(), ["positions", id], heads), [...updateInfoRegisters(author), ...own]) }
  })
  const restorable = rows.filter(({ row }) => row.length > 0)
  const writes = restorable.map(({ id, row }): RegisterWrite => ({ path: ["positions", id], register: row }))
  const what = restorable.length === 1 ? designationOf(restorable[0]?.row ?? []) : `${restorable.length} positions`
  if (restorable.length > 0) writeRegisters(plan, deletionHeads ?? plan.heads(), writes, `${author}: restored ${what}`)
  return rows.filter(({ row }) => row.length === 0).map(({ id }) => id)
}

function registerForField(field: FieldKey, value: FieldValue): Register {
  if (!isAmountField(field)) return registerOf(textValue(String(value ?? "")))
  return value === null ? [] : registerOf(scalarValue(value))
}

/**
 * Changes what the plan says about itself. `seen`: what somebody had before them; what others have set since stays beside it,
 * as a conflict. Returns whether any did.
 */
export function updateSettings(plan: Plan, settings: Partial<Settings>, author: string, base: SettingsAtHeads | null = null): boolean {
  const now = readSettingsState(plan.doc())
  const isContested = (key: Setting) => base !== null && !isEqualSetting(base, now, key)
  const keys = SETTINGS.filter((key) => settings[key] !== undefined)
  const contested = keys.filter(isContested)
  const write = (chosen: readonly Setting[], at: UrlHeads | null) => {
    const change = (doc: PlanDoc) => {
      for (const key of chosen) {
        if (settings[key] === null) delete doc[key]
        else Object.assign(doc, { [key]: settings[key] })
      }
    }
    const message = { message: `${author}: ${chosen.join(", ")} of the plan` }
    if (at) plan.changeAt(at, change, message)
    else if (chosen.length > 0) plan.change(change, message)
  }
  write(
    keys.filter((key) => !isContested(key)),
    null,
  )
  if (base && contested.length > 0) write(contested, base.heads)
  return contested.length > 0
}

/**
 * Rows that no list shows: concurrent changes made several maps of positions, and Automerge shows one. Ids and rows, of the other maps.
 */
export function hiddenRows(plan: Pick<Plan, "doc">): [string, Register][] {
  return readLosingValues(plan.doc(), "positions").flatMap(({ value }) => (value.type === "map" ? [...value.entries] : []))
}

/** Moves the rows that no list shows to the one that is shown. Where a row of the same id is there, both become one. */
export function mergeHiddenRows(plan: Plan, author: string): void {
  const hidden = hiddenRows(plan)
  const ids = [...new Set(hidden.map(([id]) => id))]
  const writes = ids.map((id): RegisterWrite => {
    const rows = hidden.flatMap(([other, row]) => (other === id ? row : []))
    return { path: ["positions", id], register: mergeConcurrentRows([...rows, ...readRowRegister(plan.doc(), id)]) }
  })
  const message = `${author}: added ${ids.length} positions of another list`
  writeRegisters(plan, plan.heads(), writes, message)
  plan.change(
    (doc) => {
      // Within a change the losing maps can be changed, too.
      const maps = Object.values(A.getConflicts(doc, "positions") ?? {}) as unknown as Record<string, unknown>[]
      for (const map of maps) {
        if (A.getObjectId(map) === A.getObjectId(doc.positions)) continue
        for (const id of Object.keys(map)) delete map[id]
      }
    },
    { message },
  )
}
