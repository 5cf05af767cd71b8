/**
 * What the list shows: filter, search, sorting, grouping and collapsed groups. A view is written as a query string, in the address of the
 * page and in saved views.
 */
import { fieldNoun, GROUP_FIELDS, type GroupKey, isFieldKey, isGroupField } from "./fields"
import { type Filter, NO_FILTER, type Sort, type SortKey } from "./query"

export interface View {
  filter: Filter
  /** `null`: newest first. */
  sort: Sort | null
  /** The field that groups the list; `null` for a plain list. */
  group: GroupKey | null
  /** Folded names of the collapsed groups. */
  collapsed: ReadonlySet<string>
  /** Parameters that this version does not know. They are kept. */
  others: readonly (readonly [name: string, value: string])[]
}

export const NO_VIEW: View = { filter: NO_FILTER, sort: null, group: null, collapsed: new Set(), others: [] }

const FILTER_PREFIX = "filter."
const isSortKey = (key: string): key is SortKey => isFieldKey(key) || key === "updatedAt" || key === "createdAt"

/** Reads a view. Values that do not fit are ignored. */
export function parseView(text: string): View {
  const others: [string, string][] = []
  const groups: Filter["groups"] = {}
  const collapsed = new Set<string>()
  let search = ""
  let sort: Sort | null = null
  let group: GroupKey | null = null
  for (const [name, value] of new URLSearchParams(text)) {
    const field = name.startsWith(FILTER_PREFIX) ? name.slice(FILTER_PREFIX.length) : ""
    if (isFieldKey(field) && isGroupField(field)) {
      if (value !== "") groups[field] = value
    } else if (name === "search") search = value
    else if (name === "sort") {
      const key = value.replace(/^-/, "")
      if (isSortKey(key)) sort = { key, ascending: key === value }
    } else if (name === "group") group = isFieldKey(value) && isGroupField(value) ? value : null
    else if (name === "collapsed") collapsed.add(value)
    else others.push([name, value])
  }
  return { filter: { search, groups }, sort, group, collapsed, others }
}

/** Writes a view. Equal views are equal texts; the view without a filter, sorting and grouping is empty. */
export function formatView({ filter, sort, group, collapsed, others }: View): string {
  const params = new URLSearchParams()
  if (filter.search !== "") params.append("search", filter.search)
  for (const field of GROUP_FIELDS) {
    const value = filter.groups[field]
    if (value !== undefined) params.append(`${FILTER_PREFIX}${field}`, value)
  }
  if (sort) params.append("sort", sort.ascending ? sort.key : `-${sort.key}`)
  if (group) params.append("group", group)
  // Groups are collapsed only while the list is grouped.
  if (group) for (const key of [...collapsed].sort()) params.append("collapsed", key)
  for (const [name, value] of others) params.append(name, value)
  return params.toString()
}

/** A view in the form that {@link formatView} gives it, so that views of other programs can be compared. */
export const normalizeView = (text: string): string => formatView(parseView(text))

/** A view in words: `department: hr, sorted by budget, grouped by location`. */
export function describeView(text: string): string {
  const { filter, sort, group } = parseView(text)
  const parts = [
    ...(filter.search ? [`“${filter.search}”`] : []),
    ...GROUP_FIELDS.flatMap((field) => (filter.groups[field] === undefined ? [] : [`${fieldNoun(field)}: ${filter.groups[field]}`])),
    ...(sort ? [`sorted by ${SORT_NAMES[sort.key] ?? fieldNoun(sort.key)}${sort.ascending ? "" : ", descending"}`] : []),
    ...(group ? [`grouped by ${fieldNoun(group)}`] : []),
  ]
  return parts.join(", ") || "all positions"
}

const SORT_NAMES: Partial<Record<SortKey, string>> = { updatedAt: "last change", createdAt: "time of creation" }
