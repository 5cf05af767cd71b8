/**
 * Edits of a plan, written as changes of its document.
 *
 * Fields are assigned whole, so that concurrent edits become a conflict instead of a mixture of both texts. Rows are assigned whole only
 * when they are created. Every change carries its author in its message.
 */
import { next as A } from "@automerge/automerge/slim"
import type { DocHandle, UrlHeads } from "@automerge/automerge-repo/slim"
import { APPROVAL_KEYS, APPROVED, recordApproval, recordsApproval } from "./approval"
import { type ColumnKey, FIELDS, type FieldValues, isFieldKey, isTextField, storedFields } from "./fields"
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
  type OwnValues,
  type PlanDoc,
  type Position,
  type PositionDoc,
  readRowRegister,
  readSettingsState,
  rowAt,
  rowsOf,
  SETTINGS,
  type Setting,
  type Settings,
  type SettingsState,
  toFieldValue,
} from "./schema"

/** A position to add. */
export type NewPosition = FieldValues & {
  /** Values in the columns of the plan. */
  own?: OwnValues
}

/** A deleted row. The document contains all of it at `heads`. */
export interface DeletedPosition {
  id: string
  heads: UrlHeads
  /** Replaces one field of the restored row. */
  override?: { field: ColumnKey; value: FieldValue }
}

/** The document handle that edits are applied to. */
export type Plan = Pick<DocHandle<PlanDoc>, "doc" | "heads" | "change" | "changeAt" | "update">

/** A position, and the heads at which it was read. */
export interface PositionAtHeads {
  position: Position
  heads: UrlHeads
}

/** The settings of a plan, and the heads at which they were read. */
export interface SettingsAtHeads extends SettingsState {
  heads: UrlHeads
}

function toPositionDoc(position: NewPosition, created: number, author: string): PositionDoc {
  const row: PositionDoc = {
    ...storedFields(position),
    ...Object.fromEntries(Object.entries(position.own ?? {}).filter(([, value]) => value !== null)),
    createdAt: new Date(created),
    updatedAt: new Date(),
    updatedBy: author,
  }
  if (recordsApproval("status", position.status)) recordApproval(row, position.budget, author)
  return row
}

/** Adds positions in one change. The first one becomes the first of the list. Returns the new ids. */
export function addPositions(plan: Plan, positions: readonly NewPosition[], author: string): string[] {
  const now = Date.now()
  const ids = positions.map(() => newId())
  const what = positions.length === 1 ? positions[0]?.designation : `${positions.length} positions`
  plan.change(
    (doc) => {
      // Documents created by other programs may have no map of positions.
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

/** A field of a position and its new value. An amount, a choice or a month without a value is `null`. */
export interface FieldChange {
  id: string
  field: ColumnKey
  value: FieldValue
}

/**
 * Sets fields of any number of positions and adds positions, in one change. Positions that do not exist are left out. Returns the ids of the
 * added positions. `what`: the action for the message, such as `pasted 12 cells`. `created`: creation time of the first added position, which
 * becomes the first of the list. An added position has a new id unless one is given.
 */
export function changeCells(
  plan: Plan,
  cells: readonly FieldChange[],
  additions: readonly (NewPosition & { id?: string })[],
  what: string,
  author: string,
  created = Date.now(),
): string[] {
  const ids = additions.map(({ id }) => id ?? newId())
  plan.change(
    (doc) => {
      if (additions.length > 0 && !doc.positions) doc.positions = {}
      const { positions } = doc
      const changed = new Map<string, PositionDoc>()
      const approved = new Set<PositionDoc>()
      for (const { id, field, value } of cells) {
        const row = changed.get(id) ?? positions?.[id]
        if (!row) continue
        assignField(row, field, value)
        changed.set(id, row)
        if (recordsApproval(field, value)) approved.add(row)
      }
      // Afterwards, because the budget may be changed together with the status.
      for (const row of approved) recordApproval(row, budgetOf(row), author)
      for (const row of changed.values()) setUpdateInfo(row, author)
      additions.forEach((position, at) => {
        const id = ids[at] ?? ""
        const existing = positions[id]
        // Somebody else may have added a position with this id. Rows are never assigned twice.
        if (existing) {
          for (const field of FIELDS) assignField(existing, field, position[field])
          for (const [key, value] of Object.entries(position.own ?? {})) assignField(existing, key as ColumnKey, value)
        } else positions[id] = toPositionDoc(position, created - at, author)
      })
    },
    { message: `${author}: ${what}` },
  )
  return ids
}

function assignField(row: PositionDoc, key: ColumnKey, value: FieldValue): void {
  const fields = row as unknown as Record<string, FieldValue>
  if (isFieldKey(key) && isTextField(key)) fields[key] = String(value ?? "")
  else if (value === null) delete fields[key]
  else fields[key] = value
}

/**
 * Sets one field of a position. `base`: the position as the user saw it, if another user has changed the field or deleted the position
 * since. The edit is then written at the heads of `base`, so that it becomes a conflict or a discarded edit instead of an overwrite. `label`:
 * the field in the message of the change.
 */
export function setField(
  plan: Plan,
  id: string,
  field: ColumnKey,
  value: FieldValue,
  author: string,
  base: PositionAtHeads | null = null,
  label: string = field,
): void {
  const row = rowAt(rowsOf(plan.doc()), id) as PositionDoc | undefined
  const name = row ? toFieldValue("designation", row.designation) : base?.position.designation
  const change = (doc: PlanDoc) => {
    const row = doc.positions[id]
    if (!row) return
    assignField(row, field, value)
    if (recordsApproval(field, value)) recordApproval(row, budgetOf(row), author)
    setUpdateInfo(row, author)
  }
  const options = { message: `${author}: ${label} of ${name}: ${value ?? "empty"}` }
  if (base) plan.changeAt(base.heads, change, options)
  else plan.change(change, options)
}

/** The budget of a row; `null` if it has none that is a number. */
function budgetOf(row: PositionDoc): number | null {
  const budget = toFieldValue("budget", row.budget)
  return typeof budget === "number" ? budget : null
}

/** Approves a position with its current budget. Open and filled positions keep their status. */
export function approvePosition(plan: Plan, id: string, author: string): void {
  const name = toFieldValue("designation", (rowAt(rowsOf(plan.doc()), id) as PositionDoc | undefined)?.designation)
  plan.change(
    (doc) => {
      const row = doc.positions[id]
      if (!row) return
      const status = toFieldValue("status", row.status)
      if (status !== "open" && status !== "filled" && status !== APPROVED) assignField(row, "status", APPROVED)
      recordApproval(row, budgetOf(row), author)
      setUpdateInfo(row, author)
    },
    { message: `${author}: approved ${name}` },
  )
}

function setUpdateInfo(row: PositionDoc, author: string): void {
  row.updatedAt = new Date()
  row.updatedBy = author
}

/** Update information for a row that is written as registers. */
export const updateInfoRegisters = (author: string): [string, Register][] => [
  ["updatedAt", registerOf(scalarValue(new Date()))],
  ["updatedBy", registerOf(textValue(author))],
]

/** Replaces fields of a row. An entry that is not a map stays as it is. */
export function withFields(row: Register, fields: readonly (readonly [string, Register])[]): Register {
  return row.map(({ operation, value }) => ({
    operation,
    value: value.type === "map" ? { type: "map", entries: new Map([...value.entries, ...fields]) } : value,
  }))
}

/** All values of a field, for {@link revertField}. */
export const readFieldRegister = (plan: Pick<Plan, "doc">, id: string, field: string): Register =>
  fieldRegister(readRowRegister(plan.doc(), id), field)

/**
 * Reverts an edit of a field to its previous values, conflicts included. `base`: the row after the edit, if another user has set the field
 * since. Their value then stays, as a conflict.
 */
export function revertField(
  plan: Plan,
  id: string,
  field: ColumnKey,
  before: Register,
  author: string,
  base: PositionAtHeads | null = null,
): void {
  writeFields(plan, id, base?.heads ?? plan.heads(), [[field, before]], author, `${author}: reverted ${field}`)
}

/** Copies a field from the same row at other heads: recovers an edit that a deletion discarded. */
export function restoreFieldValue(plan: Plan, id: string, field: string, heads: UrlHeads, author: string, label = field): void {
  const row = readRegister(plan.doc(), ["positions", id], heads)
  const shown = fieldRegister(row, field).at(-1)
  // The record of an approval belongs to its status.
  const isApproval = recordsApproval(field, shown ? toFieldValue("status", toPlainValue(shown.value)) : null)
  const keys = isApproval ? [field, ...APPROVAL_KEYS] : [field]
  const fields = keys.map((key): [string, Register] => [key, fieldRegister(row, key)])
  if (row.length > 0) writeFields(plan, id, plan.heads(), fields, author, `${author}: recovered ${label} of ${designationOf(row)}`)
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
 * Resolves a conflict by keeping the value of one operation. If concurrent changes created several rows with this id, they are merged into
 * one row; the other fields keep their conflicts.
 */
export function resolveConflict(plan: Plan, id: string, field: ColumnKey, operation: string, author: string, label: string = field): void {
  const row = readRowRegister(plan.doc(), id)
  const chosen = fieldRegister(row, field).filter((written) => written.operation === operation)
  // Another user has resolved it already. A row without the field has no operation for it.
  if (chosen.length === 0 && operation !== "") return
  const message = `${author}: resolved ${label} of ${designationOf(row)}`
  const maps = row.filter(({ value }) => value.type === "map")
  if (maps.length > 1) {
    // Different creation times are not a conflict.
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

/** Resolves a conflict of a setting by keeping the value of one operation. */
export function resolveSettingConflict(plan: Plan, key: Setting, operation: string, author: string): void {
  const chosen = readRegister(plan.doc(), [key]).filter((written) => written.operation === operation)
  if (chosen.length > 0) writeRegisters(plan, plan.heads(), [{ path: [key], register: chosen }], `${author}: resolved ${key} of the plan`)
}

/** Deletes positions in one change. */
export function deletePositions(plan: Plan, ids: readonly string[], names: string, author: string): void {
  plan.change(
    (doc) => {
      for (const id of ids) delete doc.positions[id]
    },
    { message: `${author}: deleted ${names}` },
  )
}

/**
 * Restores deleted positions with all fields and all values of conflicts. Existing positions stay as they are. `deletionHeads`: heads after
 * the deletion that is undone; edits that it discarded then stay listed for review. Returns the ids of rows that are missing from the
 * document at the given heads.
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

function registerForField(key: ColumnKey, value: FieldValue): Register {
  if (isFieldKey(key) && isTextField(key)) return registerOf(textValue(String(value ?? "")))
  if (value === null) return []
  return registerOf(typeof value === "number" ? scalarValue(value) : textValue(value))
}

/**
 * Changes settings of a plan. `base`: the settings as the user saw them. A setting that another user has changed since becomes a conflict.
 * Returns whether there was one.
 */
export function updateSettings(plan: Plan, settings: Partial<Settings>, author: string, base: SettingsAtHeads | null = null): boolean {
  const now = readSettingsState(plan.doc())
  const isConflicting = (key: Setting) => base !== null && !isEqualSetting(base, now, key)
  const keys = SETTINGS.filter((key) => settings[key] !== undefined)
  const conflicting = keys.filter(isConflicting)
  const write = (chosen: readonly Setting[], at: UrlHeads | null) => {
    const change = (doc: PlanDoc) => {
      for (const key of chosen) {
        if (settings[key] === null) delete doc[key]
        else Object.assign(doc, { [key]: settings[key] })
      }
    }
    const options = { message: `${author}: ${chosen.join(", ")} of the plan` }
    if (at) plan.changeAt(at, change, options)
    else if (chosen.length > 0) plan.change(change, options)
  }
  write(
    keys.filter((key) => !isConflicting(key)),
    null,
  )
  if (base && conflicting.length > 0) write(conflicting, base.heads)
  return conflicting.length > 0
}

/** Rows of losing position maps. If two clients create the map concurrently, Automerge shows only one of them. Returns ids and rows. */
export function hiddenRows(plan: Pick<Plan, "doc">): [string, Register][] {
  return readLosingValues(plan.doc(), "positions").flatMap(({ value }) => (value.type === "map" ? [...value.entries] : []))
}

/** Moves the rows of losing position maps to the shown map. Rows with the same id are merged. */
export function mergeHiddenRows(plan: Plan, author: string): void {
  const hidden = hiddenRows(plan)
  const ids = [...new Set(hidden.map(([id]) => id))]
  const writes = ids.map((id): RegisterWrite => {
    const rows = hidden.flatMap(([other, row]) => (other === id ? row : []))
    return { path: ["positions", id], register: mergeConcurrentRows([...rows, ...readRowRegister(plan.doc(), id)]) }
  })
  const message = `${author}: added ${ids.length} positions of a concurrent list`
  writeRegisters(plan, plan.heads(), writes, message)
  plan.change(
    (doc) => {
      // Losing maps can be modified inside a change callback.
      const maps = Object.values(A.getConflicts(doc, "positions") ?? {}) as unknown as Record<string, unknown>[]
      for (const map of maps) {
        if (A.getObjectId(map) === A.getObjectId(doc.positions)) continue
        for (const id of Object.keys(map)) delete map[id]
      }
    },
    { message },
  )
}
