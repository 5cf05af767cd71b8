/**
 * The positions as they stand in the document, and as the page shows them.
 *
 * Any program may have written the document, so nothing of it is trusted: what cannot be read is shown as far as it can,
 * and never breaks the list.
 */
import { next as A } from "@automerge/automerge/slim"
import { FIELDS, type FieldKey, type FieldValues, fieldValues, isAmountField, type StoredFields } from "./fields"
import { hasConflict, type Register, readRegister, toPlainValue } from "./multi-value-register"

/**
 * The value of a field as the page shows it. Budgets are numbers, in units of the plan; null: unknown. A budget that is text is a value of
 * another type that some program has written: it is shown, and never counted.
 */
export type FieldValue = string | number | null

/** A position in the document. */
export interface PositionDoc extends StoredFields {
  createdAt: Date
  updatedAt: Date
  updatedBy: string
}

/** A plan: an Automerge document of this shape. */
export interface PlanDoc {
  documentId?: string
  name?: string
  /** ISO 4217. */
  currency?: string
  /** Currency units in one unit of a budget: 100000 is a lakh. */
  unit?: number
  /** In units. */
  totalBudget?: number
  positions: Record<string, PositionDoc>
}

/** A value that lost against a concurrent write, and which write it was. */
export interface LosingValue {
  operation: string
  value: FieldValue
}

/** A field that several people have set at once. */
export interface Conflict {
  /** The write whose value is shown. */
  winner: string
  losing: LosingValue[]
}

/** A position as it is shown. Never changed: a newer one takes its place. */
export interface Position extends FieldValues {
  id: string
  /** Milliseconds since 1970. */
  createdAt: number | null
  updatedAt: number | null
  updatedBy: string
  conflicts: Partial<Record<FieldKey, Conflict>> | null
  /** Fields whose values have another type than the schema says, as text. */
  mistyped?: Partial<Record<FieldKey, string>>
  /** The entry is no map, and so no position: it is shown as this text, and can only be deleted. */
  invalidEntry?: string
}

/** What a cell shows. */
export const shownValue = (position: Position, field: FieldKey): FieldValue => position.mistyped?.[field] ?? position[field]

/** Whether a field is the same in two looks at a position: what is shown, and what lost against it. */
export function isEqualField(one: Position, other: Position, field: FieldKey): boolean {
  return (
    shownValue(one, field) === shownValue(other, field) && operationsOf(one.conflicts?.[field]) === operationsOf(other.conflicts?.[field])
  )
}

/** Whether a setting is the same in two looks at a plan, as a field is. */
export function isEqualSetting(one: SettingsState, other: SettingsState, key: Setting): boolean {
  return one.settings[key] === other.settings[key] && operationsOf(one.conflicts?.[key]) === operationsOf(other.conflicts?.[key])
}

const operationsOf = (conflict: Conflict | undefined): string =>
  conflict ? [conflict.winner, ...conflict.losing.map(({ operation }) => operation)].join() : ""

/** Whether nobody has changed a position between two looks at it. */
export const isUnchanged = (one: Position, other: Position): boolean =>
  one.updatedAt === other.updatedAt && FIELDS.every((field) => isEqualField(one, other, field))

/** What a plan says about itself. */
export interface Settings {
  name: string
  currency: string
  unit: number
  totalBudget: number | null
}

/** The settings, and which of them several people have set at once. */
export interface SettingsState {
  settings: Settings
  conflicts: SettingConflicts | null
}

export const SETTINGS = ["name", "currency", "unit", "totalBudget"] as const
export type Setting = (typeof SETTINGS)[number]
export const SETTING_LABELS: Record<Setting, string> = {
  name: "Name",
  currency: "Currency",
  unit: "Unit",
  totalBudget: "Total budget",
}
export type SettingConflicts = Partial<Record<Setting, Conflict>>

/** The last moment that a `Date` can be. */
const MAX_TIMESTAMP = 8.64e15
export const MAX_TEXT = 1_000
export const MAX_AMOUNT = Number.MAX_SAFE_INTEGER

function toPrimitive(value: unknown): unknown {
  if (value instanceof A.ImmutableString) return value.val
  if (value instanceof A.Counter) return value.value
  // Numbers at the end of what a double holds exactly, and beyond.
  return typeof value === "bigint" ? Number(value) : value
}

/** Text of either kind that Automerge has; other values as a person can read them. */
function asText(value: unknown): string {
  const read = toPrimitive(value)
  if (read === undefined || read === null) return ""
  return typeof read === "string" ? read : describeValue(read)
}

/** Any value of a document as text: JSON, with words for what JSON cannot hold. */
function describeValue(value: unknown): string {
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

/** Milliseconds since 1970, as far as there are dates. */
export function toTimestamp(value: unknown): number | null {
  const read = value instanceof Date ? value.getTime() : asNumber(value)
  return read !== null && Math.abs(read) <= MAX_TIMESTAMP ? read : null
}

/** The value of a field, as it is shown and compared. */
export function toFieldValue(field: FieldKey, value: unknown): FieldValue {
  if (!isAmountField(field)) return asText(value)
  return value === undefined || value === null ? null : (asNumber(value) ?? describeValue(value))
}

/** Whether a field holds a value of another type than the schema says. A number or a truth value where text belongs is read as text. */
function isMistyped(field: FieldKey, value: unknown): boolean {
  if (value === undefined || value === null) return false
  return isAmountField(field) ? asNumber(value) === null : typeof toPrimitive(value) === "object"
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" &&
  value !== null &&
  !Array.isArray(value) &&
  !(value instanceof Date) &&
  !(value instanceof Uint8Array) &&
  !(value instanceof A.ImmutableString) &&
  !(value instanceof A.Counter)

/** The rows of a document by id; none where it has no map of positions. */
export function rowsOf(doc: unknown): Record<string, unknown> {
  const positions = isMap(doc) ? doc.positions : undefined
  return isMap(positions) ? positions : {}
}

/** Reads one row, without its conflicts. An entry that is no map is read as far as it goes. null: there is no entry. */
export function readPosition(id: string, entry: unknown): Position | null {
  if (entry === undefined) return null
  const row = isMap(entry) ? entry : {}
  const position: Position = {
    id,
    ...fieldValues((field) => (isAmountField(field) ? asNumber(row[field]) : asText(row[field]))),
    createdAt: toTimestamp(row.createdAt),
    updatedAt: toTimestamp(row.updatedAt),
    updatedBy: asText(row.updatedBy),
    conflicts: null,
  }
  if (!isMap(entry)) return { ...position, designation: describeValue(entry), invalidEntry: describeValue(entry) }
  const mistyped = FIELDS.filter((field) => isMistyped(field, row[field]))
  if (mistyped.length > 0) position.mistyped = Object.fromEntries(mistyped.map((field) => [field, describeValue(row[field])]))
  return position
}

/** The rows that stand at an id: several, if concurrent changes made them. */
export const readRowRegister = (doc: A.Doc<unknown>, id: string): Register => readRegister(doc, ["positions", id])

/** The register of one field of rows, the losing rows' values first. */
export function fieldRegister(row: Register, field: string): Register {
  return row.flatMap(({ value }) => (value.type === "map" ? (value.entries.get(field) ?? []) : []))
}

/** The conflicts of a position: values that differ from what is shown, in its fields or in another row of the same id. */
export function readConflicts(doc: A.Doc<unknown>, id: string): Position["conflicts"] {
  // Most have none, and an import touches thousands of rows.
  if (!hasConflict(doc, ["positions", id], FIELDS)) return null
  const row = readRowRegister(doc, id)
  const shown = row.slice(-1)
  let found: Position["conflicts"] = null
  for (const field of FIELDS) {
    const winner = fieldRegister(shown, field).at(-1)
    const others = distinctLosingValues(
      fieldRegister(row, field)
        .filter((written) => written !== winner)
        .map(({ operation, value }) => ({ operation, value: toFieldValue(field, toPlainValue(value)) })),
      toFieldValue(field, winner && toPlainValue(winner.value)),
    )
    if (others.length > 0) {
      found ??= {}
      found[field] = { winner: winner?.operation ?? "", losing: others }
    }
  }
  return found
}

/** Each value once, and not what is shown. */
const distinctLosingValues = (losing: LosingValue[], shown: FieldValue): LosingValue[] =>
  losing.filter(({ value }, at) => value !== shown && losing.findIndex((other) => other.value === value) === at)

/** How each setting is read: what is not there, or cannot be, is what is usual. */
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
}

export function readSettings(doc: unknown): Settings {
  const plan = isMap(doc) ? doc : {}
  return {
    name: SETTING_READERS.name(plan.name),
    currency: SETTING_READERS.currency(plan.currency),
    unit: SETTING_READERS.unit(plan.unit),
    totalBudget: SETTING_READERS.totalBudget(plan.totalBudget),
  }
}

/** The settings, with the values of them that lost against a concurrent write. */
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
