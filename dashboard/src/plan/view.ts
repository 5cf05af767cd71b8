/**
 * What the list shows: filter, search, sorting, grouping, collapsed groups and hidden columns. A view is written as a query string, in the
 * address of the page and in saved views.
 *
 * A column of the plan is written as `column.<key>`. A view may name columns that the plan does not have, or not yet.
 */
import { NO_COLUMNS, type PlanColumns } from "./columns"
import { type ColumnKey, FIELDS, type GroupColumnKey, isFieldKey, isGroupField } from "./fields"
import { isOwnKey } from "./own-columns"
import { type Filter, isTimeKey, NO_FILTER, type Sort, type SortKey, selectedGroups } from "./query"

export interface View {
  filter: Filter
  /** `null`: newest first. */
  sort: Sort | null
  /** The field that groups the list; `null` for a plain list. */
  group: GroupColumnKey | null
  /** Folded names of the collapsed groups. */
  collapsed: ReadonlySet<string>
  /** Columns that the list does not show. */
  hidden: ReadonlySet<ColumnKey>
  /** Parameters that this version does not know. They are kept. */
  others: readonly (readonly [name: string, value: string])[]
}

export const NO_VIEW: View = { filter: NO_FILTER, sort: null, group: null, collapsed: new Set(), hidden: new Set(), others: [] }

const FILTER_PREFIX = "filter."
const COLUMN_PREFIX = "column."
/** The first column names the position. */
const ALWAYS_SHOWN = FIELDS[0]

const formatKey = (key: string): string => (isFieldKey(key) || isTimeKey(key) ? key : `${COLUMN_PREFIX}${key}`)

/** The key of a field or column; `null` for another text. */
function parseKey(text: string): ColumnKey | null {
  if (isFieldKey(text)) return text
  const key = text.startsWith(COLUMN_PREFIX) ? text.slice(COLUMN_PREFIX.length) : ""
  return isOwnKey(key) ? key : null
}

function parseSortKey(text: string): SortKey | null {
  return isTimeKey(text) ? text : parseKey(text)
}

/** The key of a column of the plan, or of a field whose values group positions; `null` for another text. */
function parseGroupKey(text: string): GroupColumnKey | null {
  const key = parseKey(text)
  return key === null || (isFieldKey(key) && !isGroupField(key)) ? null : (key as GroupColumnKey)
}

/** Reads a view. Values that do not fit are ignored. */
export function parseView(text: string): View {
  const others: [string, string][] = []
  const groups: Filter["groups"] = {}
  const collapsed = new Set<string>()
  let search = ""
  let sort: Sort | null = null
  let group: GroupColumnKey | null = null
  const hidden = new Set<ColumnKey>()
  for (const [name, value] of new URLSearchParams(text)) {
    const filtered = name.startsWith(FILTER_PREFIX) ? parseGroupKey(name.slice(FILTER_PREFIX.length)) : null
    if (filtered !== null) {
      if (value !== "") groups[filtered] = value
    } else if (name === "search") search = value
    else if (name === "sort") {
      const key = parseSortKey(value.replace(/^-/, ""))
      if (key !== null) sort = { key, ascending: !value.startsWith("-") }
    } else if (name === "group") group = parseGroupKey(value)
    else if (name === "collapsed") collapsed.add(value)
    else if (name === "hide") {
      const key = parseKey(value)
      if (key !== null && key !== ALWAYS_SHOWN) hidden.add(key)
    } else others.push([name, value])
  }
  return { filter: { search, groups }, sort, group, collapsed, hidden, others }
}

/** Writes a view. Equal views are equal texts; the view without a filter, sorting and grouping is empty. */
export function formatView({ filter, sort, group, collapsed, hidden, others }: View): string {
  const params = new URLSearchParams()
  if (filter.search !== "") params.append("search", filter.search)
  for (const [key, value] of byKey(selectedGroups(filter.groups))) params.append(`${FILTER_PREFIX}${formatKey(key)}`, value)
  if (sort) params.append("sort", `${sort.ascending ? "" : "-"}${formatKey(sort.key)}`)
  if (group) params.append("group", formatKey(group))
  // Groups are collapsed only while the list is grouped.
  if (group) for (const key of [...collapsed].sort()) params.append("collapsed", key)
  for (const [key] of byKey([...hidden].map((key) => [key, ""] as const))) params.append("hide", formatKey(key))
  for (const [name, value] of others) params.append(name, value)
  return params.toString()
}

/** Entries in the order of the fields; columns of the plan follow by their keys. */
function byKey<E extends readonly [key: string, value: string]>(entries: readonly E[]): E[] {
  const place = (key: string) => (isFieldKey(key) ? FIELDS.indexOf(key) : FIELDS.length)
  return [...entries].sort(([one], [other]) => place(one) - place(other) || (one < other ? -1 : 1))
}

/** A view without what refers to columns that the plan does not have. */
export function applicableView(view: View, columns: PlanColumns): View {
  const { filter, sort, group, hidden } = view
  const has = (key: string) => columns.field(key) !== null
  const groups = (key: string) => {
    const field = columns.field(key)
    return field !== null && isGroupField(field)
  }
  const isApplicable =
    selectedGroups(filter.groups).every(([key]) => groups(key)) &&
    (sort === null || isTimeKey(sort.key) || has(sort.key)) &&
    (group === null || groups(group)) &&
    [...hidden].every(has)
  if (isApplicable) return view
  return {
    ...view,
    filter: { ...filter, groups: Object.fromEntries(selectedGroups(filter.groups).filter(([key]) => groups(key))) },
    sort: sort !== null && (isTimeKey(sort.key) || has(sort.key)) ? sort : null,
    group: group !== null && groups(group) ? group : null,
    hidden: new Set([...hidden].filter(has)),
  }
}

/** A view in the form that {@link formatView} gives it, so that views of other programs can be compared. */
export const normalizeView = (text: string): string => formatView(parseView(text))

/** A view in words: `department: hr, sorted by budget, grouped by location`. */
export function describeView(text: string, columns: PlanColumns = NO_COLUMNS): string {
  const { filter, sort, group, hidden } = parseView(text)
  const noun = (key: string) => columns.noun(key)
  const parts = [
    ...(filter.search ? [`“${filter.search}”`] : []),
    ...byKey(selectedGroups(filter.groups)).map(([key, value]) => `${noun(key)}: ${value}`),
    ...(sort ? [`sorted by ${SORT_NAMES[sort.key] ?? noun(sort.key)}${sort.ascending ? "" : ", descending"}`] : []),
    ...(group ? [`grouped by ${noun(group)}`] : []),
    ...(hidden.size > 0
      ? [
          `without ${byKey([...hidden].map((key) => [key, ""] as const))
            .map(([key]) => noun(key))
            .join(", ")}`,
        ]
      : []),
  ]
  return parts.join(", ") || "all positions"
}

const SORT_NAMES: Partial<Record<SortKey, string>> = { updatedAt: "last change", createdAt: "time of creation" }
