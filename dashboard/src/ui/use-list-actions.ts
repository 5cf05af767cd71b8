/** What the user does to the view of the list: searches, filters, sorts, groups and collapses. */
import { useMemo } from "react"
import type { ColumnKey, GroupColumnKey } from "../plan/fields"
import { type Filter, NO_FILTER, type Sort } from "../plan/query"
import { parseView } from "../plan/view"
import type { ChangeView } from "./use-view"

export interface ListActions {
  changeFilter: (part: Partial<Filter>) => void
  /** `value`: the folded name of a group; `null` shows all. */
  filterGroup: (field: GroupColumnKey, value: string | null) => void
  clearFilters: () => void
  sortBy: (sort: Sort | null) => void
  groupBy: (field: GroupColumnKey | null) => void
  collapse: (key: string, isCollapsed: boolean) => void
  setCollapsed: (keys: ReadonlySet<string>) => void
  /** Shows or hides a column. */
  showColumn: (key: ColumnKey, isShown: boolean) => void
  /** Opens a view, as the address names it. */
  openView: (view: string) => void
}

export function useListActions(change: ChangeView): ListActions {
  return useMemo(
    () => ({
      changeFilter: (part) => change((view) => ({ ...view, filter: { ...view.filter, ...part } }), "search" in part ? "typing" : "push"),
      filterGroup: (field, value) =>
        change((view) => {
          const { [field]: _, ...others } = view.filter.groups
          return { ...view, filter: { ...view.filter, groups: value === null ? others : { ...others, [field]: value } } }
        }),
      clearFilters: () => change((view) => ({ ...view, filter: NO_FILTER })),
      sortBy: (sort) => change((view) => ({ ...view, sort })),
      groupBy: (group) => change((view) => ({ ...view, group, collapsed: new Set() })),
      collapse: (key, isCollapsed) =>
        change((view) => {
          if (view.collapsed.has(key) === isCollapsed) return view
          const collapsed = new Set(view.collapsed)
          if (isCollapsed) collapsed.add(key)
          else collapsed.delete(key)
          return { ...view, collapsed }
        }, "replace"),
      setCollapsed: (collapsed) => change((view) => ({ ...view, collapsed }), "replace"),
      showColumn: (key, isShown) =>
        change((view) => {
          const hidden = new Set(view.hidden)
          if (isShown) hidden.delete(key)
          else hidden.add(key)
          return { ...view, hidden }
        }),
      openView: (view) => change(() => parseView(view)),
    }),
    [change],
  )
}
