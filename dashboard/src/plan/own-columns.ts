/**
 * The columns that the people of a plan have added: the shared map `columns` of the document, by the key of the field in each position.
 *
 * An entry is created once and then changed place by place. A deleted column keeps its entry, marked, and its values.
 */
import type { next as A } from "@automerge/automerge/slim"
import type { UrlHeads } from "@automerge/automerge-repo/slim"
import { APPROVAL_KEYS } from "./approval"
import { COMMENTS } from "./comments"
import type { Plan } from "./edit"
import { FIELDS, isFieldKey, type OwnColumn, type OwnKey } from "./fields"
import { newId } from "./id"
import { toPlainValue } from "./multi-value-register"
import { conflictIn, type Place, type PlaceWrite, readEntries, writePlaces } from "./root-map"
import { type Conflict, type FieldValue, toFieldValue } from "./schema"

/** The types that a column can have. */
export type ColumnType = "text" | "number" | "date" | "choice"
export const COLUMN_TYPES: readonly ColumnType[] = ["text", "number", "date", "choice"]
export const COLUMN_TYPE_LABELS: Record<ColumnType, string> = { text: "Text", number: "Number", date: "Date", choice: "Choice" }

/** The settings of a column that people change, and whose concurrent changes are conflicts. */
export type ColumnSetting = "title" | "type"

/** A column with its place in the list. */
export type PlanColumn = OwnColumn & {
  /** Columns are sorted by it. The fields of a position have 1, 2, 3 and so on. */
  order: number
  isDeleted: boolean
  conflicts: Partial<Record<ColumnSetting, Conflict>> | null
}

/** What the user enters for a column. */
export interface ColumnInput {
  title: string
  type: ColumnType
  /** The values of a choice, in their order. */
  options: readonly string[]
}

/** A column of a plan, `null` for a new one, and the heads at which it was read. */
export interface ColumnAtHeads {
  column: PlanColumn | null
  heads: UrlHeads
}

/** Names that are no columns: fields of a position and of its JSON form, and columns of the grid. */
const RESERVED: ReadonlySet<string> = new Set([
  ...FIELDS,
  ...APPROVAL_KEYS,
  ...[
    "id",
    "createdAt",
    "updatedAt",
    "updatedBy",
    COMMENTS,
    "conflicts",
    "extra",
    "omitted",
    "value",
    "select",
    "actions",
    "",
    "__proto__",
  ],
])

/** Whether a key may be that of a column. Every object inherits `constructor` and others, which would look like values of a column. */
export const isOwnKey = (key: string): key is OwnKey => !RESERVED.has(key) && !(key in Object.prototype)

const showText = (value: unknown): FieldValue => toFieldValue("designation", value)
const asNumber = (value: unknown): number | null => (typeof value === "number" && Number.isFinite(value) ? value : null)

/** Reads the columns of a document with their conflicts. */
export function readColumns(doc: A.Doc<unknown>, heads?: UrlHeads): PlanColumn[] {
  return [...readEntries(doc, "columns", heads)].flatMap(([key, register]): PlanColumn[] => {
    const entry = register.at(-1)?.value
    if (entry?.type !== "map") return []
    const column = toColumn(key, toPlainValue(entry))
    if (!column) return []
    const of = (setting: ColumnSetting) => conflictIn(entry.entries.get(setting) ?? [], showText)
    const [title, type] = [of("title"), of("type")]
    return [{ ...column, conflicts: title || type ? { ...(title && { title }), ...(type && { type }) } : null }]
  })
}

/** Reads the columns of a document, or of its JSON form, without their conflicts. */
export function readPlainColumns(doc: unknown): PlanColumn[] {
  const columns = (doc as { columns?: unknown } | null | undefined)?.columns
  if (!isRecord(columns)) return []
  return Object.entries(columns).flatMap(([key, entry]) => toColumn(key, entry) ?? [])
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date) && !(value instanceof Uint8Array)

/** A column as the document stores it; `null` if the entry is none. */
function toColumn(key: string, entry: unknown): PlanColumn | null {
  if (!isOwnKey(key) || !isRecord(entry)) return null
  const [title, type] = [String(showText(entry.title) ?? ""), String(showText(entry.type) ?? "")]
  const base = {
    key,
    label: title.trim() || key,
    order: asNumber(entry.order) ?? FIELDS.length + 1,
    isDeleted: entry.deleted === true,
    conflicts: null,
  }
  if (type === "choice") return { ...base, kind: "choice", choices: optionsOf(entry.options).map((value) => ({ value, label: value })) }
  return { ...base, kind: type === "text" || type === "number" || type === "date" ? type : "unknown" }
}

/** The options of a choice: a map with the place of each. A list of texts is accepted. */
function optionsOf(options: unknown): string[] {
  if (Array.isArray(options)) return [...new Set(options.filter((option) => typeof option === "string" && option !== ""))]
  if (!isRecord(options)) return []
  return Object.entries(options)
    .filter(([option]) => option !== "")
    .map(([option, order]) => ({ option, order: asNumber(order) ?? Number.POSITIVE_INFINITY }))
    .sort((one, other) => one.order - other.order || (one.option < other.option ? -1 : 1))
    .map(({ option }) => option)
}

export const columnPlace = (key: string, ...keys: string[]): Place => ["columns", key, ...keys]

/** A column key is shorter than the id of a position, and starts with a letter. */
const newKey = (): OwnKey => `col${newId().slice(0, 12)}` as OwnKey

const toOptions = (options: readonly string[]): Record<string, number> => Object.fromEntries(options.map((option, at) => [option, at + 1]))

/** Adds a column. Returns its key. */
export function addColumn(plan: Plan, { title, type, options }: ColumnInput, order: number, author: string): OwnKey {
  const key = newKey()
  const value = { title, type, order, ...(type === "choice" && { options: toOptions(options) }) }
  writePlaces(plan, "columns", [{ place: columnPlace(key), value }], `${author}: added the column ${title}`)
  return key
}

/** The places that differ between a column and what the user entered. */
export function columnWrites(column: PlanColumn, { title, type, options }: ColumnInput): PlaceWrite[] {
  const { key } = column
  const known = column.kind === "choice" ? column.choices.map(({ value }) => value) : []
  const writes: PlaceWrite[] = []
  if (title !== column.label) writes.push({ place: columnPlace(key, "title"), value: title })
  if (type !== column.kind) writes.push({ place: columnPlace(key, "type"), value: type })
  if (type !== "choice" || (options.length === known.length && options.every((option, at) => option === known[at]))) return writes
  // Options are written one by one, so that those which somebody else adds meanwhile stay.
  const order: PlaceWrite[] = options.map((option, at) => ({
    place: columnPlace(key, "options", option),
    value: at + 1,
    ...(known.includes(option) && { isBookkeeping: true }),
  }))
  const removed = known.filter((option) => !options.includes(option))
  return [...writes, ...order, ...removed.map((option): PlaceWrite => ({ place: columnPlace(key, "options", option), value: null }))]
}

/**
 * Changes a column. `base`: the heads at which the user saw it. A setting that somebody else has changed since becomes a conflict. Returns the
 * changed places, and whether one of them has a conflict.
 */
export function setColumn(
  plan: Plan,
  column: PlanColumn,
  input: ColumnInput,
  author: string,
  base: UrlHeads,
): { places: Place[]; isContested: boolean } {
  const writes = columnWrites(column, input)
  const entry = readEntries(plan.doc(), "columns").get(column.key)?.at(-1)?.value
  const hasMap = entry?.type === "map" && entry.entries.get("options")?.at(-1)?.value.type === "map"
  const isOption = ({ place }: PlaceWrite) => place[2] === "options"
  // Without a map of options, such as after a change of the type, it is written as a whole.
  const final = hasMap || !writes.some(isOption) ? writes : [...writes.filter((write) => !isOption(write)), wholeOptions(column.key, input)]
  const contested = writePlaces(plan, "columns", final, `${author}: changed the column ${input.title}`, base)
  return { places: final.map(({ place }) => place), isContested: contested.some((place) => !isOption({ place, value: null })) }
}

const wholeOptions = (key: string, { options }: ColumnInput): PlaceWrite => ({
  place: columnPlace(key, "options"),
  value: toOptions(options),
})

/** Deletes a column, or brings it back. Its values stay in the positions. */
export function setColumnDeleted(plan: Plan, { key, label }: PlanColumn, isDeleted: boolean, author: string): Place {
  const place = columnPlace(key, "deleted")
  const what = isDeleted ? "deleted" : "restored"
  writePlaces(plan, "columns", [{ place, value: isDeleted ? true : null }], `${author}: ${what} the column ${label}`)
  return place
}

/** New places of columns. */
export type ColumnOrders = readonly { key: OwnKey; order: number }[]

/** Moves columns. Returns the changed places. */
export function moveColumns(plan: Plan, orders: ColumnOrders, label: string, author: string): Place[] {
  const writes = orders.map(({ key, order }): PlaceWrite => ({ place: columnPlace(key, "order"), value: order, isBookkeeping: true }))
  writePlaces(plan, "columns", writes, `${author}: moved the column ${label}`)
  return writes.map(({ place }) => place)
}

/** Why a title cannot be used; `null` if it can. `others`: the labels of the other columns. */
export function titleProblem(title: string, others: readonly string[]): string | null {
  const fold = (text: string) => text.trim().toLowerCase()
  if (fold(title) === "") return "Enter a name."
  if (others.some((other) => fold(other) === fold(title))) return `There is a column named “${title}”.`
  return isFieldKey(title) || RESERVED.has(fold(title)) ? `“${title}” is the name of a field. Choose another one.` : null
}
