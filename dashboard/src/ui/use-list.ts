/** What the list shows: the view, its columns and lines, and the checked positions. */
import { useMemo, useState } from "react"
import { type Field, type GroupField, isGroupField } from "../plan/fields"
import { applicableView, formatView, type View } from "../plan/view"
import type { PlanSnapshot, PlanStore } from "../sync/plan-store"
import { type ColumnSizes, useColumnWidths } from "./use-column-widths"
import { type ListActions, useListActions } from "./use-list-actions"
import { type Listing, useListing } from "./use-listing"
import { useView } from "./use-view"

export interface List extends Listing {
  /** The view, without what the plan does not have. */
  view: View
  /** The view as the address names it. */
  viewText: string
  listActions: ListActions
  /** The columns that the list shows. */
  fields: readonly Field[]
  sizes: ColumnSizes
  /** The field of the groups. */
  groupField: GroupField | null
  /** Ids of the checked positions. Hidden ones are not checked, so that nobody deletes rows they do not see. */
  selected: ReadonlySet<string>
  setSelected: (ids: ReadonlySet<string>) => void
  /** The position that is being edited. It stays in the list. */
  editedId: string | null
  setEditedId: (id: string | null) => void
}

export function useList(store: PlanStore, { positions, columns }: PlanSnapshot): List {
  const [addressed, changeView] = useView(store.id)
  const view = useMemo(() => applicableView(addressed, columns), [addressed, columns])
  const fields = useMemo(() => columns.visible(view.hidden), [columns, view.hidden])
  const sizes = useColumnWidths(store)
  const [editedId, setEditedId] = useState<string | null>(null)
  const listing = useListing(positions, columns, view, editedId)
  const { shown } = listing
  const [checked, setSelected] = useState<ReadonlySet<string>>(new Set())
  const selected = useMemo(() => {
    if (checked.size === 0) return checked
    const visible = new Set(shown.map((position) => position.id))
    const remaining = new Set([...checked].filter((id) => visible.has(id)))
    return remaining.size === checked.size ? checked : remaining
  }, [checked, shown])
  const grouping = view.group && columns.field(view.group)
  return {
    ...listing,
    view,
    viewText: formatView(addressed),
    listActions: useListActions(changeView),
    fields,
    sizes,
    groupField: grouping && isGroupField(grouping) ? grouping : null,
    selected,
    setSelected,
    editedId,
    setEditedId,
  }
}
