/**
 * The positions as they stand in the document, and as the page shows them.
 *
 * Any program may have written the document, so nothing of it is trusted: what cannot be read is shown as far as it can,
 * and never breaks the list.
 */
import { next as A } from "@automerge/automerge/slim"
import { isContested, plainOf, type Register, readRegister } from "./register"

/** The fields of a position that people edit. */
export const FIELDS = ["designation", "department", "budget", "location"] as const
export type Field = (typeof FIELDS)[number]

/**
 * The value of a field as the page shows it. Budgets are numbers, in units of the plan; null: unknown. A budget that is text is a value of
 * another type that some program has written: it is shown, and never counted.
 */
export type FieldValue = string | number | null

/** A position in the document. */
export interface PositionDoc {
  designation: string
  department: string
  /** Absent: unknown. */
  budget?: number
  location: string
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
export interface Losing {
  operation: string
  value: FieldValue
}

/** A field that several people have set at once. */
export interface Conflict {
  /** The write whose value is shown. */
  winner: string
  losing: Losing[]
}

/** A position as it is shown. Never changed: a newer one takes its place. */
export interface Position {
  id: string
  designation: string
  department: string
  /** null: unknown. It is absent, or no number (see `odd`). */
  budget: number | null
  location: string
  /** Milliseconds since 1970. */
  createdAt: number | null
  updatedAt: number | null
  updatedBy: string
  conflicts: Partial<Record<Field, Conflict>> | null
  /** Fields whose values have another type than the schema says, as text. */
  odd?: Partial<Record<Field, string>>
  /** The entry is no map, and so no position: it is shown as this text, and can only be deleted. */
  entry?: string
}

/** What a cell shows. */
export const shownValue = (position: Position, field: Field): FieldValue => position.odd?.[field] ?? position[field]

/** Whether a field is the same in two looks at a position: what is shown, and what lost against it. */
export function isSameField(one: Position, other: Position, field: Field): boolean {
  return shownValue(one, field) === shownValue(other, field) && writes(one.conflicts?.[field]) === writes(other.conflicts?.[field])
}

/** Whether a setting is the same in two looks at a plan, as a field is. */
export function isSameSetting(one: PlanState, other: PlanState, key: Setting): boolean {
  return one.settings[key] === other.settings[key] && writes(one.conflicts?.[key]) === writes(other.conflicts?.[key])
}

const writes = (conflict: Conflict | undefined): string =>
  conflict ? [conflict.winner, ...conflict.losing.map(({ operation }) => operation)].join() : ""

/** Whether nobody has changed a position between two looks at it. */
export const isUntouched = (one: Position, other: Position): boolean =>
  one.updatedAt === other.updatedAt && FIELDS.every((field) => isSameField(one, other, field))

/** What a plan says about itself. */
export interface Settings {
  name: string
  currency: string
  unit: number
  totalBudget: number | null
}

/** The settings, and which of them several people have set at once. */
export interface PlanState {
  settings: Settings
  conflicts: SettingConflicts | null
}

export const SETTINGS = ["name", "currency", "unit", "totalBudget"] as const
export type Setting = (typeof SETTINGS)[number]
export type SettingConflicts = Partial<Record<Setting, Conflict>>

/** The last moment that a `Date` can be. */
const LAST_MOMENT = 8.64e15
export const MAX_TEXT = 1_000
export const MAX_BUDGET = Number.MAX_SAFE_INTEGER

function plain(value: unknown): unknown {
  if (value instanceof A.ImmutableString) return value.val
  if (value instanceof A.Counter) return value.value
  // Numbers at the end of what a double holds exactly, and beyond.
  return typeof value === "bigint" ? Number(value) : value
}

/** Text of either kind that Automerge has; other values as a person can read them. */
function asText(value: unknown): string {
  const read = plain(value)
  if (read === undefined || read === null) return ""
  return typeof read === "string" ? read : describeValue(read)
}

/** Any value of a document as text: JSON, with words for what JSON cannot hold. */
function describeValue(value: unknown): string {
  const read = plain(value)
  if (typeof read === "string") return read
  if (typeof read === "bigint" || (typeof read === "number" && !Number.isFinite(read))) return String(read)
  if (read instanceof Date) return asMoment(read) === null ? "an invalid date" : read.toISOString()
  if (read instanceof Uint8Array) return `${read.length} bytes`
  if (typeof read !== "object" || read === null) return JSON.stringify(read) ?? ""
  return JSON.stringify(read, (_, inner) => {
    const value = plain(inner)
    if (typeof value === "bigint") return String(value)
    return typeof value === "object" && value !== null && !Array.isArray(value) && !isMap(value) ? describeValue(value) : value
  })
}

function asNumber(value: unknown): number | null {
  const read = plain(value)
  return typeof read === "number" && Number.isFinite(read) ? read : null
}

/** Milliseconds since 1970, as far as there are dates. */
export function asMoment(value: unknown): number | null {
  const read = value instanceof Date ? value.getTime() : asNumber(value)
  return read !== null && Math.abs(read) <= LAST_MOMENT ? read : null
}

/** The value of a field, as it is shown and compared. */
export function asField(field: Field, value: unknown): FieldValue {
  if (field !== "budget") return asText(value)
  return value === undefined || value === null ? null : (asNumber(value) ?? describeValue(value))
}

/** Whether a field holds a value of another type than the schema says. A number or a truth value where text belongs is read as text. */
function isOdd(field: Field, value: unknown): boolean {
  if (value === undefined || value === null) return false
  return field === "budget" ? asNumber(value) === null : typeof plain(value) === "object"
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
    designation: asText(row.designation),
    department: asText(row.department),
    budget: asNumber(row.budget),
    location: asText(row.location),
    createdAt: asMoment(row.createdAt),
    updatedAt: asMoment(row.updatedAt),
    updatedBy: asText(row.updatedBy),
    conflicts: null,
  }
  if (!isMap(entry)) return { ...position, designation: describeValue(entry), entry: describeValue(entry) }
  const odd = FIELDS.filter((field) => isOdd(field, row[field]))
  if (odd.length > 0) position.odd = Object.fromEntries(odd.map((field) => [field, describeValue(row[field])]))
  return position
}

/** The rows that stand at an id: several, if concurrent changes made them. */
export const readRow = (doc: A.Doc<unknown>, id: string): Register => readRegister(doc, ["positions", id])

/** The register of one field of rows, the losing rows' values first. */
export function fieldIn(row: Register, field: string): Register {
  return row.flatMap(({ value }) => (value.type === "map" ? (value.entries.get(field) ?? []) : []))
}

/** The conflicts of a position: values that differ from what is shown, in its fields or in another row of the same id. */
export function readConflicts(doc: A.Doc<unknown>, id: string): Position["conflicts"] {
  // Most have none, and an import touches thousands of rows.
  if (!isContested(doc, ["positions", id], FIELDS)) return null
  const row = readRow(doc, id)
  const shown = row.slice(-1)
  let found: Position["conflicts"] = null
  for (const field of FIELDS) {
    const winner = fieldIn(shown, field).at(-1)
    const others = differing(
      fieldIn(row, field)
        .filter((written) => written !== winner)
        .map(({ operation, value }) => ({ operation, value: asField(field, plainOf(value)) })),
      asField(field, winner && plainOf(winner.value)),
    )
    if (others.length > 0) {
      found ??= {}
      found[field] = { winner: winner?.operation ?? "", losing: others }
    }
  }
  return found
}

/** Each value once, and not what is shown. */
const differing = (losing: Losing[], shown: FieldValue): Losing[] =>
  losing.filter((lost, at) => lost.value !== shown && losing.findIndex((other) => other.value === lost.value) === at)

/** How each setting is read: what is not there, or cannot be, is what is usual. */
const READ: { [S in Setting]: (value: unknown) => Settings[S] } = {
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
    name: READ.name(plan.name),
    currency: READ.currency(plan.currency),
    unit: READ.unit(plan.unit),
    totalBudget: READ.totalBudget(plan.totalBudget),
  }
}

/** The settings, with the values of them that lost against a concurrent write. */
export function readPlan(doc: A.Doc<unknown>): PlanState {
  const settings = readSettings(doc)
  let conflicts: SettingConflicts | null = null
  for (const key of SETTINGS) {
    const values = readRegister(doc, [key])
    const losing = values.slice(0, -1).map(({ operation, value }) => ({ operation, value: READ[key](plainOf(value)) }))
    const others = differing(losing, settings[key])
    if (others.length > 0) {
      conflicts ??= {}
      conflicts[key] = { winner: values.at(-1)?.operation ?? "", losing: others }
    }
  }
  return { settings, conflicts }
}
