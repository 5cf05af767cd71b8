/**
 * The positions as they stand in the document, and as the page shows them.
 *
 * Any program may have written the document, so nothing of it is trusted: what cannot be read is shown as far as it can,
 * and never breaks the list.
 */
import { next as A } from "@automerge/automerge/slim"

/** The fields of a position that people edit. */
export const FIELDS = ["designation", "department", "budget", "location"] as const
export type Field = (typeof FIELDS)[number]

/** What a field may hold. Budgets are numbers, in units of the plan. */
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
  /** null: there is none that can be read. */
  budget: number | null
  location: string
  /** Milliseconds since 1970. */
  createdAt: number | null
  updatedAt: number | null
  updatedBy: string
  conflicts: Partial<Record<Field, Conflict>> | null
}

/** Whether a field is the same in two looks at a position: what is shown, and what lost against it. */
export function isSameField(one: Position, other: Position, field: Field): boolean {
  return one[field] === other[field] && writes(one.conflicts?.[field]) === writes(other.conflicts?.[field])
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

/** Texts in either form that Automerge has; anything else as far as a person can read it. */
function asText(value: unknown): string {
  const read = plain(value)
  if (typeof read === "string") return read
  if (typeof read === "number" || typeof read === "boolean") return String(read)
  return ""
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
export const asField = (field: Field, value: unknown): FieldValue => (field === "budget" ? asNumber(value) : asText(value))

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

/** Reads one row, without its conflicts. null: it is no row. */
export function readPosition(id: string, row: unknown): Position | null {
  if (!isMap(row)) return null
  return {
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
}

/** What stands in a register beside its winner: by the writes' names, the winner's last. */
function several(object: unknown, key: string): [string, unknown][] | null {
  const values = A.getConflicts(object as A.Doc<unknown>, key)
  const entries = values ? Object.entries(values) : []
  return entries.length > 1 ? entries.sort(([one], [other]) => byOperation(one, other)) : null
}

/** The order of writes: the highest wins. */
export function byOperation(one: string, other: string): number {
  const [counter, actor] = split(one)
  const [otherCounter, otherActor] = split(other)
  return counter - otherCounter || (actor < otherActor ? -1 : actor > otherActor ? 1 : 0)
}

/** The counter and the actor of a write's name. */
export function split(operation: string): [number, string] {
  const at = operation.indexOf("@")
  return [Number(operation.slice(0, at)), operation.slice(at + 1)]
}

/** The conflicts of a position: values that differ from what is shown, in its fields or in a row of the same id. */
export function readConflicts(rows: Record<string, unknown>, id: string): Position["conflicts"] {
  const twins = several(rows, id)
  let found: Position["conflicts"] = null
  for (const field of FIELDS) {
    const row = rows[id]
    const shown = isMap(row) ? asField(field, row[field]) : null
    const values = several(row, field) ?? []
    const winner = values.at(-1)?.[0] ?? twins?.at(-1)?.[0] ?? ""
    const losing = values.slice(0, -1).map(([operation, value]) => ({ operation, value: asField(field, value) }))
    for (const [operation, twin] of twins?.slice(0, -1) ?? []) {
      if (isMap(twin) && field in twin) losing.push({ operation, value: asField(field, twin[field]) })
    }
    const others = differing(losing, shown)
    if (others.length > 0) {
      found ??= {}
      found[field] = { winner, losing: others }
    }
  }
  return found
}

/** Each value once, and not what is shown. */
const differing = (losing: Losing[], shown: FieldValue): Losing[] =>
  losing.filter((lost, at) => lost.value !== shown && losing.findIndex((other) => other.value === lost.value) === at)

/** Whether peers have made this row independently of each other. */
export const isTwin = (rows: Record<string, unknown>, id: string): boolean => several(rows, id) !== null

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
export function readPlan(doc: unknown): PlanState {
  const settings = readSettings(doc)
  let conflicts: SettingConflicts | null = null
  for (const key of SETTINGS) {
    const values = several(doc, key) ?? []
    const losing = values.slice(0, -1).map(([operation, value]) => ({ operation, value: READ[key](value) }))
    const others = differing(losing, settings[key])
    if (others.length > 0) {
      conflicts ??= {}
      conflicts[key] = { winner: values.at(-1)?.[0] ?? "", losing: others }
    }
  }
  return { settings, conflicts }
}
