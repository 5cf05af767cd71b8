/** A comparison of a plan with one of its scenarios, as the server computes it. */

import { NO_COLUMNS, type PlanColumns } from "./columns"
import { DecimalSum } from "./decimal-sum"
import { isAmountField, keyOf } from "./fields"
import { formatFieldValue } from "./format"
import { readPlainColumns } from "./own-columns"
import { SETTING_LABELS, type Setting } from "./schema"

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

/** Fields that say who wrote the others, and when. */
const BOOKKEEPING = new Set(["createdAt", "updatedAt", "updatedBy"])

/** The changed fields that people have set, in the order of the columns; those of other programs come last. */
export function shownFields({ fields }: ComparedPosition, columns: PlanColumns = NO_COLUMNS): ComparedField[] {
  const places = new Map<string, number>(columns.fields.map((field, at) => [keyOf(field), at]))
  const order = ({ field }: ComparedField) => places.get(field) ?? places.size
  return fields.filter(({ field }) => !BOOKKEEPING.has(field)).sort((one, other) => order(one) - order(other))
}

export const nameOf = ({ designation }: ComparedPosition): string => designation || "Untitled position"

/** The label of a field or setting. Those of other programs have their key. */
export const labelOf = (field: string, columns: PlanColumns = NO_COLUMNS): string =>
  isSetting(field) ? SETTING_LABELS[field] : field === COLUMNS ? "Columns" : columns.label(field)

/** The label within a sentence. */
export const nounOf = (field: string, columns: PlanColumns = NO_COLUMNS): string =>
  isSetting(field) || field === COLUMNS ? labelOf(field, columns) : columns.noun(field)

/** The root key of the columns of a plan, which a comparison lists as one setting. */
const COLUMNS = "columns"

const isSetting = (field: string): field is Setting => Object.hasOwn(SETTING_LABELS, field)

const MAX_SHOWN_TEXT = 200

/** A compared value as text. */
export function showValue(field: string, value: unknown, columns: PlanColumns = NO_COLUMNS): string {
  const known = columns.field(field)
  if (value === null || value === undefined || value === "") return known && isAmountField(known) ? "—" : "(empty)"
  if (typeof value === "string" || typeof value === "number") return formatFieldValue(known ?? field, value)
  if (field === COLUMNS)
    return (
      readPlainColumns({ columns: value })
        .filter(({ isDeleted }) => !isDeleted)
        .map(({ label }) => label)
        .join(", ") || "(none)"
    )
  const text = JSON.stringify(value)
  return text.length > MAX_SHOWN_TEXT ? `${text.slice(0, MAX_SHOWN_TEXT)}…` : text
}
