/**
 * The document schema, and positions as the page shows them.
 *
 * Other programs can write anything into the document, so nothing is trusted: a value that does not fit the schema is shown as text and
 * never breaks the list.
 */
import { next as A } from "@automerge/automerge/slim"
import type { Approval } from "./approval"
import { isChoice } from "./choice"
import { isDate } from "./date"
import {
  type ColumnKey,
  FIELDS,
  type Field,
  type FieldValues,
  fieldValues,
  isFieldKey,
  isTextField,
  keyOf,
  kindOf,
  type OwnColumn,
  type StoredFields,
} from "./fields"
import { isMonth } from "./month"
import { hasConflict, type Register, readRegister, toPlainValue } from "./multi-value-register"

/**
 * Value of a field as the page shows it. A number in units of the plan for amounts; `null` if an amount, a choice or a month has no value. An
 * amount that is text, and a text that is no choice or month, is not valid: it is shown but not counted.
 */
export type FieldValue = string | number | null

/** A position in the document. */
export interface PositionDoc extends StoredFields {
  createdAt: Date
  updatedAt: Date
  updatedBy: string
  approvedBudget?: number
  approvedAt?: Date
  approvedBy?: string
}

/** A plan: an Automerge document with this shape. */
export interface PlanDoc {
  documentId?: string
  name?: string
  /** ISO 4217 code. */
  currency?: string
  /** Currency units per unit of the plan: 100000 for lakh. */
  unit?: number
  /** In units of the plan. */
  totalBudget?: number
  /** First month of the year of the plan. */
  yearStart?: string
  /** `true` in an archived plan; absent otherwise. */
  archived?: boolean
  /** URL of the document in which the plan goes on without its history. */
  successor?: string
  positions: Record<string, PositionDoc>
}

/** A value that lost against a concurrent write, and the operation that wrote it. */
export interface LosingValue {
  operation: string
  value: FieldValue
}

/** A field with several concurrent values. */
export interface Conflict {
  /** The operation that wrote the shown value. */
  winner: string
  losing: LosingValue[]
}

/** Values in the columns of a plan, by key. */
export type OwnValues = Readonly<Record<string, FieldValue>>

/** A position as the page shows it. Immutable: an edit creates a new object. */
export interface Position extends FieldValues {
  id: string
  /** Milliseconds since 1970. */
  createdAt: number | null
  updatedAt: number | null
  updatedBy: string
  /** The latest approval; `null` if there was none. */
  approval: Approval | null
  /** Values in the columns of the plan. A column without a value has no entry. */
  own?: OwnValues
  conflicts: Partial<Record<ColumnKey, Conflict>> | null
  /** Fields whose values are not valid: of another type, or none of the choices. As text. */
  mistyped?: Partial<Record<ColumnKey, string>>
  /** The entry is not a map and so not a position. It is shown as this text and can only be deleted. */
  invalidEntry?: string
}

/** The valid value of a field or column; `null` if it has none. */
export const validValue = (position: FieldValues & { own?: OwnValues }, key: ColumnKey): FieldValue =>
  isFieldKey(key) ? position[key] : (position.own?.[key] ?? null)

/** Value that a cell shows. */
export const shownValue = (position: Position, key: ColumnKey): FieldValue => position.mistyped?.[key] ?? validValue(position, key)

/** Whether a field has the same values in two versions of a position, losing values included. */
export function isEqualField(one: Position, other: Position, field: ColumnKey): boolean {
  return (
    shownValue(one, field) === shownValue(other, field) && operationsOf(one.conflicts?.[field]) === operationsOf(other.conflicts?.[field])
  )
}

/** Whether a setting has the same values in two versions of a plan, losing values included. */
export function isEqualSetting(one: SettingsState, other: SettingsState, key: Setting): boolean {
  return one.settings[key] === other.settings[key] && operationsOf(one.conflicts?.[key]) === operationsOf(other.conflicts?.[key])
}

const operationsOf = (conflict: Conflict | undefined): string =>
  conflict ? [conflict.winner, ...conflict.losing.map(({ operation }) => operation)].join() : ""

/** Whether a position has not been edited between two versions. */
export const isUnchanged = (one: Position, other: Position): boolean =>
  one.updatedAt === other.updatedAt && FIELDS.every((field) => isEqualField(one, other, field))

/** Settings of a plan. */
export interface Settings {
  name: string
  currency: string
  unit: number
  totalBudget: number | null
  /** First month of the year of the plan; `null` if none, or no month, is stored. */
  yearStart: string | null
}

/** Settings with their conflicts. */
export interface SettingsState {
  settings: Settings
  conflicts: SettingConflicts | null
}

export const SETTINGS = ["name", "currency", "unit", "totalBudget", "yearStart"] as const
export type Setting = (typeof SETTINGS)[number]
export const SETTING_LABELS: Record<Setting, string> = {
  name: "Name",
  currency: "Currency",
  unit: "Unit",
  totalBudget: "Total budget",
  yearStart: "Year start",
}
export type SettingConflicts = Partial<Record<Setting, Conflict>>

/** Largest time value of a `Date`. */
const MAX_TIMESTAMP = 8.64e15
export const MAX_TEXT = 1_000
export const MAX_AMOUNT = Number.MAX_SAFE_INTEGER

function toPrimitive(value: unknown): unknown {
  if (value instanceof A.ImmutableString) return value.val
  if (value instanceof A.Counter) return value.value
  // Integers beyond the safe range are `bigint`.
  return typeof value === "bigint" ? Number(value) : value
}

/** Text of either Automerge type; other values in readable form. */
function asText(value: unknown): string {
  const read = toPrimitive(value)
  if (read === undefined || read === null) return ""
  return typeof read === "string" ? read : describeValue(read)
}

/** Any value as text: JSON, with words for types that JSON does not have. */
export function describeValue(value: unknown): string {
  const read = toPrimitive(value)
  if (typeof read === "string") return read
  if (typeof read === "bigint" || (typeof read === "number" && !Number.isFinite(read))) return String(read)
  if (read instanceof Date) return toTimestamp(read) === null ? "an invalid date" : read.toISOString()
  if (read instanceof Uint8Array) return `${read.length} bytes`
  if (typeof read !== "object" || read === null) return JSON.stringify(read) ?? ""
  return JSON.stringify(read, (_, inner) => {
    const value = toPrimitive(inner)
    if (typeof value === "bigint") return String(value)
    return typeof value === "object" && value !== null && !Array.isArray(value) && !isMap(value) ? describeValue(value) : value
  })
}

function asNumber(value: unknown): number | null {
  const read = toPrimitive(value)
  return typeof read === "number" && Number.isFinite(read) ? read : null
}

/** Milliseconds since 1970; `null` if the value is not a valid time. */
export function toTimestamp(value: unknown): number | null {
  const read = value instanceof Date ? value.getTime() : asNumber(value)
  return read !== null && Math.abs(read) <= MAX_TIMESTAMP ? read : null
}

/** Converts a stored value to the value that is shown and compared. */
export function toFieldValue(field: Field, value: unknown): FieldValue {
  if (isTextField(field)) return asText(value)
  return readValid(field, value) ?? (isAbsent(field, value) ? null : describeValue(value))
}

/** The shown value of a register as text; empty if there is none. */
export function shownText(register: Register | undefined): string {
  const shown = register?.at(-1)
  return shown ? asText(toPlainValue(shown.value)) : ""
}

/** A valid value of a field; `null` if there is none. */
function readValid(field: Field, value: unknown): FieldValue {
  if (isTextField(field)) return asText(value)
  const kind = kindOf(field)
  if (kind === "amount" || kind === "number") return asNumber(value)
  const text = toPrimitive(value)
  return typeof text === "string" && text !== "" && isValidText(field, text) ? text : null
}

function isValidText(field: Field, text: string): boolean {
  switch (kindOf(field)) {
    case "choice":
      return isChoice(field, text)
    case "month":
      return isMonth(text)
    case "date":
      return isDate(text)
    default:
      return true
  }
}

/** Whether a stored value means that the field has none. An empty text is not a choice or month that somebody mistyped. */
const isAbsent = (field: Field, value: unknown): boolean =>
  value === undefined || value === null || (kindOf(field) !== "amount" && toPrimitive(value) === "")

/** Whether a value is not valid for its field. Numbers and booleans are accepted as text. */
export function isMistyped(field: Field, value: unknown): boolean {
  // The type of the column is not known, so that no value is wrong.
  if (isAbsent(field, value) || kindOf(field) === "unknown") return false
  return isTextField(field) ? typeof toPrimitive(value) === "object" : readValid(field, value) === null
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" &&
  value !== null &&
  !Array.isArray(value) &&
  !(value instanceof Date) &&
  !(value instanceof Uint8Array) &&
  !(value instanceof A.ImmutableString) &&
  !(value instanceof A.Counter)

/** The rows of a document by id; empty if it has no map of positions. */
export function rowsOf(doc: unknown): Record<string, unknown> {
  const positions = isMap(doc) ? doc.positions : undefined
  return isMap(positions) ? positions : {}
}

/** The row with this id; `undefined` if there is none. Every object inherits `constructor` and others, which are no rows. */
export const rowAt = (rows: Record<string, unknown>, id: string): unknown => (Object.hasOwn(rows, id) ? rows[id] : undefined)

/** Reads one row without its conflicts; `null` if there is no entry. `own`: the columns of the plan. */
export function readPosition(id: string, entry: unknown, own: readonly OwnColumn[] = []): Position | null {
  if (entry === undefined) return null
  const row = isMap(entry) ? entry : {}
  const position: Position = {
    id,
    ...fieldValues((field) => readValid(field, row[field])),
    createdAt: toTimestamp(row.createdAt),
    updatedAt: toTimestamp(row.updatedAt),
    updatedBy: asText(row.updatedBy),
    approval: readApproval(row),
    conflicts: null,
  }
  if (!isMap(entry)) return { ...position, designation: describeValue(entry), invalidEntry: describeValue(entry) }
  const values = own.flatMap((column): [string, FieldValue][] => {
    const value = row[column.key]
    const valid = column.kind === "unknown" && !isAbsent(column, value) ? describeValue(value) : readValid(column, value)
    return valid === null ? [] : [[column.key, valid]]
  })
  if (values.length > 0) position.own = Object.fromEntries(values)
  const mistyped = [...FIELDS, ...own].filter((field) => isMistyped(field, row[keyOf(field)])).map(keyOf)
  if (mistyped.length > 0) position.mistyped = Object.fromEntries(mistyped.map((key) => [key, describeValue(row[key])]))
  return position
}

function readApproval({ approvedBudget, approvedAt, approvedBy }: Record<string, unknown>): Approval | null {
  const approval: Approval = { budget: asNumber(approvedBudget), at: toTimestamp(approvedAt), by: asText(approvedBy) }
  return approval.at === null && approval.by === "" ? null : approval
}

/** The rows with an id. There are several if concurrent changes created them. */
export const readRowRegister = (doc: A.Doc<unknown>, id: string): Register => readRegister(doc, ["positions", id])

/** All values of a field in the given rows, losing rows first. */
export function fieldRegister(row: Register, field: string): Register {
  return row.flatMap(({ value }) => (value.type === "map" ? (value.entries.get(field) ?? []) : []))
}

/** The conflicts of a position: differing values in its fields and columns, or in another row with its id. */
export function readConflicts(doc: A.Doc<unknown>, id: string, own: readonly OwnColumn[] = []): Position["conflicts"] {
  const fields = [...FIELDS, ...own]
  // Most positions have no conflict, and an import touches thousands of rows.
  if (!hasConflict(doc, ["positions", id], fields.map(keyOf))) return null
  const row = readRowRegister(doc, id)
  const shown = row.slice(-1)
  let found: Position["conflicts"] = null
  for (const field of fields) {
    const key = keyOf(field)
    const winner = fieldRegister(shown, key).at(-1)
    const others = distinctLosingValues(
      fieldRegister(row, key)
        .filter((written) => written !== winner)
        .map(({ operation, value }) => ({ operation, value: toFieldValue(field, toPlainValue(value)) })),
      toFieldValue(field, winner && toPlainValue(winner.value)),
    )
    if (others.length > 0) {
      found ??= {}
      found[key] = { winner: winner?.operation ?? "", losing: others }
    }
  }
  return found
}

/** Distinct values that differ from the shown one. */
export const distinctLosingValues = (losing: LosingValue[], shown: FieldValue): LosingValue[] =>
  losing.filter(({ value }, at) => value !== shown && losing.findIndex((other) => other.value === value) === at)

/** Reads each setting, with a default for missing or invalid values. */
const SETTING_READERS: { [S in Setting]: (value: unknown) => Settings[S] } = {
  name: asText,
  currency: (value) => {
    const currency = asText(value).toUpperCase()
    return /^[A-Z]{3}$/.test(currency) ? currency : "INR"
  },
  unit: (value) => {
    const unit = asNumber(value)
    return unit !== null && unit > 0 ? unit : 1
  },
  totalBudget: asNumber,
  yearStart: (value) => {
    const month = asText(value)
    return isMonth(month) ? month : null
  },
}

export function readSettings(doc: unknown): Settings {
  const plan = isMap(doc) ? doc : {}
  return {
    name: SETTING_READERS.name(plan.name),
    currency: SETTING_READERS.currency(plan.currency),
    unit: SETTING_READERS.unit(plan.unit),
    totalBudget: SETTING_READERS.totalBudget(plan.totalBudget),
    yearStart: SETTING_READERS.yearStart(plan.yearStart),
  }
}

/** Reads the settings with their conflicts. */
export function readSettingsState(doc: A.Doc<unknown>): SettingsState {
  const settings = readSettings(doc)
  let conflicts: SettingConflicts | null = null
  for (const key of SETTINGS) {
    const values = readRegister(doc, [key])
    const losing = values.slice(0, -1).map(({ operation, value }) => ({ operation, value: SETTING_READERS[key](toPlainValue(value)) }))
    const others = distinctLosingValues(losing, settings[key])
    if (others.length > 0) {
      conflicts ??= {}
      conflicts[key] = { winner: values.at(-1)?.operation ?? "", losing: others }
    }
  }
  return { settings, conflicts }
}
