/**
 * A comparison of a plan with one of its scenarios, as the server computes it, or of a plan with an earlier version of itself. The current
 * plan then takes the place of the scenario, and the earlier version is the base, which nobody else has changed.
 */
import { ARCHIVED } from "./archive"
import { NO_COLUMNS, type PlanColumns } from "./columns"
import { COMMENTS } from "./comments"
import { DecimalSum } from "./decimal-sum"
import { isAmountField, keyOf } from "./fields"
import { formatFieldValue } from "./format"
import { readPlainColumns } from "./own-columns"
import { readSettings, SETTING_LABELS, type Setting } from "./schema"
import { parseSharedMapField, sharedMapField } from "./shared-map"

/** What a document has done to a position since the base. */
export type RowChange = "added" | "deleted" | "changed"

/** A field or setting that the plan or the scenario has changed. Missing values are `null`. */
export interface ComparedField {
  field: string
  /** The value that both had. */
  base: unknown
  plan: unknown
  scenario: unknown
  changedByPlan: boolean
  changedByScenario: boolean
  /** Both have changed it to different values. A merge keeps both. */
  conflict: boolean
}

/** A position that the plan or the scenario has changed. */
export interface ComparedPosition {
  id: string
  designation: string | null
  plan: RowChange | null
  scenario: RowChange | null
  conflict: boolean
  /** One has deleted the position and the other has changed it. After a merge it is deleted. */
  loss: boolean
  fields: readonly ComparedField[]
}

/** The sum of the budgets of a department. */
export interface ComparedSum {
  department: string
  base: number
  plan: number
  scenario: number
  /** What the scenario changes: `scenario` minus `base`. */
  difference: number
}

export interface Comparison {
  /** The heads of the changes that both documents have. */
  base: readonly string[]
  settings: readonly ComparedField[]
  positions: readonly ComparedPosition[]
  sums: readonly ComparedSum[]
}

/** What a merge brings into the plan. */
export interface MergeSummary {
  added: number
  changed: number
  deleted: number
  settings: readonly ComparedField[]
  conflicts: readonly ComparedPosition[]
  losses: readonly ComparedPosition[]
}

/** The positions that the scenario has changed, and those that only the plan has changed. */
export function splitBySide({ positions }: Comparison): { ofScenario: ComparedPosition[]; ofPlan: ComparedPosition[] } {
  const byName = [...positions].sort((one, other) => nameOf(one).localeCompare(nameOf(other)) || (one.id < other.id ? -1 : 1))
  return {
    ofScenario: byName.filter(({ scenario }) => scenario !== null),
    ofPlan: byName.filter(({ scenario }) => scenario === null),
  }
}

/** What merging these positions brings; `null` for everything. Only a merge of everything includes the settings. */
export function summarizeMerge(comparison: Comparison, rows: ReadonlySet<string> | null): MergeSummary {
  const merged = splitBySide(comparison).ofScenario.filter(({ id }) => rows?.has(id) ?? true)
  const count = (change: RowChange) => merged.filter(({ scenario }) => scenario === change).length
  return {
    added: count("added"),
    changed: count("changed"),
    deleted: count("deleted"),
    settings: rows ? [] : comparison.settings.filter(({ changedByScenario }) => changedByScenario),
    conflicts: merged.filter(({ conflict }) => conflict),
    losses: merged.filter(({ loss }) => loss),
  }
}

export const isEmptyMerge = ({ added, changed, deleted, settings }: MergeSummary): boolean =>
  added + changed + deleted + settings.length === 0

/** In words: `2 positions added, 1 changed`. */
export function describeCounts({
  added,
  changed,
  deleted,
  settings,
}: Pick<MergeSummary, "added" | "changed" | "deleted" | "settings">): string {
  const parts = [
    [added, "added"],
    [changed, "changed"],
    [deleted, "deleted"],
  ] as const
  const [first, ...rest] = parts.filter(([count]) => count > 0)
  const texts = first ? [`${first[0].toLocaleString()} ${first[0] === 1 ? "position" : "positions"} ${first[1]}`] : []
  texts.push(...rest.map(([count, verb]) => `${count.toLocaleString()} ${verb}`))
  if (settings.length > 0) texts.push(`${settings.length.toLocaleString()} ${settings.length === 1 ? "setting" : "settings"} changed`)
  return texts.join(", ")
}

/** The sums of all departments. */
export function totalOf(sums: readonly ComparedSum[]): Omit<ComparedSum, "department"> {
  const add = (key: "base" | "plan" | "scenario" | "difference") => {
    const sum = new DecimalSum()
    for (const department of sums) sum.add(department[key])
    return sum.dividedBy(1)
  }
  return { base: add("base"), plan: add("plan"), scenario: add("scenario"), difference: add("difference") }
}

/** The departments whose sums differ. */
export const differingSums = (sums: readonly ComparedSum[]): ComparedSum[] =>
  sums.filter(({ base, plan, scenario }) => base !== plan || base !== scenario)

/** Whether the compared states have different currencies or units. Their amounts cannot be subtracted. */
export function differInScale({ settings }: Comparison): boolean {
  const scales = (["base", "plan", "scenario"] as const).map((side) => {
    const given = settings.map((compared): [string, unknown] => [compared.field, compared[side]])
    const { currency, unit } = readSettings(Object.fromEntries(given))
    return `${currency} ${unit}`
  })
  return new Set(scales).size > 1
}

/** Maps at the root whose entries are settings of their own. */
const EXPANDED: ReadonlySet<string> = new Set(["departmentBudgets"])

/** Lists the entries of maps one by one, instead of the whole map as one setting. */
export const expandMaps = (settings: readonly ComparedField[]): ComparedField[] =>
  settings.flatMap((setting) => (EXPANDED.has(setting.field) && hasMapsOnly(setting) ? entriesOf(setting) : [setting]))

const SIDES = ["base", "plan", "scenario"] as const

const isMap = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value)

const hasMapsOnly = (setting: ComparedField): boolean => SIDES.every((side) => setting[side] === null || isMap(setting[side]))

function entriesOf(setting: ComparedField): ComparedField[] {
  const keys = new Set(SIDES.flatMap((side) => Object.keys(setting[side] ?? {})))
  return [...keys].sort().flatMap((key) => {
    const [base, plan, scenario] = SIDES.map((side) => {
      const map = setting[side]
      return isMap(map) && Object.hasOwn(map, key) ? map[key] : null
    })
    const isSame = (one: unknown, other: unknown) => JSON.stringify(one) === JSON.stringify(other)
    const [changedByPlan, changedByScenario] = [!isSame(base, plan), !isSame(base, scenario)]
    if (!changedByPlan && !changedByScenario) return []
    const conflict = changedByPlan && changedByScenario && !isSame(plan, scenario)
    return [{ field: sharedMapField(setting.field, key), base, plan, scenario, changedByPlan, changedByScenario, conflict }]
  })
}

/** Fields that say who wrote the others, and when. */
const BOOKKEEPING = new Set(["createdAt", "updatedAt", "updatedBy", "approvedAt", "approvedBy"])

export const isBookkeeping = (field: string): boolean => BOOKKEEPING.has(field)

/** The changed fields that people have set, in the order of the columns; those of other programs come last. */
export function shownFields({ fields }: ComparedPosition, columns: PlanColumns = NO_COLUMNS): ComparedField[] {
  const places = new Map<string, number>(columns.fields.map((field, at) => [keyOf(field), at]))
  const order = ({ field }: ComparedField) => places.get(field) ?? places.size
  return fields.filter(({ field }) => !isBookkeeping(field)).sort((one, other) => order(one) - order(other))
}

export const nameOf = ({ designation }: ComparedPosition): string => designation || "Untitled position"

/** The root key of the columns of a plan, which a comparison lists as one setting. */
const COLUMNS = "columns"

/** The names of columns. */
function describeColumns(value: unknown): string {
  const columns = readPlainColumns({ columns: value }).filter(({ isDeleted }) => !isDeleted)
  return columns.map(({ label }) => label).join(", ") || "(none)"
}

/** Labels of keys that are neither fields nor settings. */
const OTHER_LABELS = new Map([
  [COMMENTS, "Comments"],
  [ARCHIVED, "Archived"],
  [COLUMNS, "Columns"],
])

/** The label of a field or setting. Those of other programs have their key. */
export function labelOf(field: string, columns: PlanColumns = NO_COLUMNS): string {
  const entry = parseSharedMapField(field)
  if (entry?.map === "departmentBudgets") return `Budget of ${entry.key}`
  return OTHER_LABELS.get(field) ?? (isSetting(field) ? SETTING_LABELS[field] : columns.label(field))
}

/** The label within a sentence. */
export const nounOf = (field: string, columns: PlanColumns = NO_COLUMNS): string =>
  columns.field(field) ? columns.noun(field) : labelOf(field, columns)

const isSetting = (field: string): field is Setting => Object.hasOwn(SETTING_LABELS, field)

const countComments = (count: number): string => `${count.toLocaleString()} ${count === 1 ? "comment" : "comments"}`

const MAX_SHOWN_TEXT = 200

/** A compared value as text. */
export function showValue(field: string, value: unknown, columns: PlanColumns = NO_COLUMNS): string {
  const known = columns.field(field)
  const isAmount = (known !== null && isAmountField(known)) || parseSharedMapField(field)?.map === "departmentBudgets"
  if (value === null || value === undefined || value === "") return isAmount ? "—" : "(empty)"
  if (field === COMMENTS && isMap(value)) return countComments(Object.keys(value).length)
  if (typeof value === "string" || typeof value === "number") return formatFieldValue(known ?? field, value)
  if (field === COLUMNS) return describeColumns(value)
  const text = JSON.stringify(value) ?? ""
  return text.length > MAX_SHOWN_TEXT ? `${text.slice(0, MAX_SHOWN_TEXT)}…` : text
}
