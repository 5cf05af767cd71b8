/**
 * Compares a plan with an earlier version of itself, from the history of the document, so that it works offline.
 *
 * The operations since then say which positions and settings have been touched; only these are read at both states.
 */
import { next as A } from "@automerge/automerge/slim"
import { encodeHeads } from "@automerge/automerge-repo/slim"
import {
  type ComparedField,
  type ComparedPosition,
  type ComparedSum,
  type Comparison,
  differInScale,
  expandMaps,
  isBookkeeping,
} from "./comparison"
import { DecimalSum } from "./decimal-sum"
import { isFieldKey } from "./fields"
import { differenceByMonth, type MonthDifference } from "./monthly-difference"
import { readRegister, toPlainValue } from "./multi-value-register"
import { readRowsAt } from "./past-rows"
import { groupTotals } from "./query"
import { describeValue, type Position, readPosition, rowAt, rowsOf, toFieldValue } from "./schema"
import { foldText } from "./text"

/** Root keys that are no settings of a plan. */
const NOT_SETTINGS: ReadonlySet<string> = new Set(["positions", "documentId", "scenarios", "versions", "views"])

export interface VersionComparison {
  comparison: Comparison
  /** Differences in the months of the year; `null` if the states have different units. */
  months: readonly MonthDifference[] | null
}

/** A row at one of the states: its position, and its values by key. */
interface RowState {
  position: Position
  values: ReadonlyMap<string, unknown>
}

/** A row at both states; `null` where it does not exist. */
interface RowStates {
  id: string
  before: RowState | null
  after: RowState | null
}

/**
 * What has changed since the given hexadecimal heads. Losing values of conflicts are not compared. `null` if the document does not have
 * these heads.
 */
export function compareWithVersion(doc: A.Doc<unknown>, heads: readonly string[], yearStart: string): VersionComparison | null {
  // At heads that it does not know, Automerge reads something else.
  if (!A.hasHeads(doc, [...heads])) return null
  const { ids, settings: keys } = touchedSince(doc, heads)
  const [past, rows] = [readRowsAt(doc, ids, heads), rowsOf(doc)]
  const states = [...ids].map((id): RowStates => ({ id, before: readRow(id, past.get(id)), after: readRow(id, rowAt(rows, id)) }))
  const positions = states.flatMap(({ id, before, after }) => compareRow(id, before, after) ?? [])
  const settings = expandMaps([...keys].sort().flatMap((key) => compareSetting(doc, heads, key) ?? []))
  const comparison: Comparison = { base: heads, settings, positions, sums: compareSums(rows, states) }
  if (differInScale(comparison)) return { comparison, months: null }
  const [before, after] = [states.flatMap((row) => row.before?.position ?? []), states.flatMap((row) => row.after?.position ?? [])]
  return { comparison, months: differenceByMonth(before, after, yearStart) }
}

/** The positions and settings that the changes since the given heads have touched. */
export function touchedSince(doc: A.Doc<unknown>, heads: readonly string[]): { ids: Set<string>; settings: Set<string> } {
  const [ids, settings] = [new Set<string>(), new Set<string>()]
  for (const { path } of A.diff(doc, [...heads], A.getHeads(doc))) {
    const [root, id] = path.map(String)
    if (root === "positions" && id !== undefined) ids.add(id)
    else if (root !== undefined && !NOT_SETTINGS.has(root)) settings.add(root)
  }
  return { ids, settings }
}

function readRow(id: string, entry: unknown): RowState | null {
  const position = readPosition(id, entry)
  if (!position) return null
  const fields = position.invalidEntry === undefined ? Object.entries(entry as object) : [["value", position.invalidEntry]]
  const values = fields.map(([key, value]): [string, unknown] => [key, isFieldKey(key) ? toFieldValue(key, value) : toJson(value)])
  return { position, values: new Map(values.filter(([key, value]) => value !== null && value !== "" && !isBookkeeping(key))) }
}

/** A value as JSON, as the server compares it. */
function toJson(value: unknown): unknown {
  if (value === undefined || value === null) return null
  if (typeof value === "string" || typeof value === "boolean" || typeof value === "number") return value
  try {
    return JSON.parse(describeValue(value))
  } catch {
    // Times, bytes and numbers that JSON does not have.
    return describeValue(value)
  }
}

const isSame = (one: unknown, other: unknown): boolean => JSON.stringify(one) === JSON.stringify(other)

const compared = (field: string, then: unknown, now: unknown): ComparedField => ({
  ...{ field, base: then, plan: then, scenario: now },
  ...{ changedByPlan: false, changedByScenario: true, conflict: false },
})

/** `null` if nothing has changed. */
function compareRow(id: string, before: RowState | null, after: RowState | null): ComparedPosition | null {
  const keys = new Set([...(before?.values.keys() ?? []), ...(after?.values.keys() ?? [])])
  const fields = [...keys].flatMap((key) => {
    const [then, now] = [before?.values.get(key) ?? null, after?.values.get(key) ?? null]
    return isSame(then, now) ? [] : [compared(key, then, now)]
  })
  const change = !before ? "added" : !after ? "deleted" : "changed"
  const shown = after ?? before
  // Added and deleted in between, or touched without a difference.
  if (!shown || (change === "changed" && fields.length === 0)) return null
  return { id, designation: shown.position.designation, plan: null, scenario: change, conflict: false, loss: false, fields }
}

function compareSetting(doc: A.Doc<unknown>, heads: readonly string[], key: string): ComparedField | null {
  const read = (at?: ReturnType<typeof encodeHeads>) => {
    const shown = readRegister(doc, [key], at).at(-1)
    return shown ? toJson(toPlainValue(shown.value)) : null
  }
  const [then, now] = [read(encodeHeads([...heads])), read()]
  return isSame(then, now) ? null : compared(key, then, now)
}

/** The sums of a department at both states. */
interface DepartmentSums {
  name: string
  before: DecimalSum
  now: DecimalSum
}

/** The sums of the departments, by their folded names. The earlier sums are the current ones without what has changed since. */
function compareSums(rows: Record<string, unknown>, states: readonly RowStates[]): ComparedSum[] {
  const current = Object.entries(rows).flatMap(([id, row]) => readPosition(id, row) ?? [])
  const names = new Map(groupTotals(current, "department").map(({ key, name }) => [key, name]))
  const sums = new Map<string, DepartmentSums>()
  const sumOf = ({ department }: Position) => {
    const key = foldText(department)
    const sum = sums.get(key) ?? { name: names.get(key) ?? department.trim(), before: new DecimalSum(), now: new DecimalSum() }
    sums.set(key, sum)
    return sum
  }
  for (const position of current) {
    const { before, now } = sumOf(position)
    before.add(position.budget ?? 0)
    now.add(position.budget ?? 0)
  }
  for (const { before, after } of states) {
    if (after) sumOf(after.position).before.add(after.position.budget ?? 0, -1)
    if (before) sumOf(before.position).before.add(before.position.budget ?? 0)
  }
  const compare = ({ name, before, now }: DepartmentSums): ComparedSum => {
    const difference = new DecimalSum()
    difference.addSum(now)
    difference.add(before.value, -1)
    return { department: name, base: before.value, plan: before.value, scenario: now.value, difference: difference.value }
  }
  return [...sums.values()].map(compare).sort((one, other) => one.department.localeCompare(other.department))
}
