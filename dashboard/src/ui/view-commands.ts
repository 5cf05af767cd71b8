/** Commands for groups and saved views. */
import type { PlanColumns } from "../plan/columns"
import { fieldNoun, type GroupColumnKey, keyOf } from "../plan/fields"
import type { PositionGroup } from "../plan/grouping"
import type { SavedView } from "../plan/saved-views"
import { formatView, type View } from "../plan/view"
import type { Command } from "./CommandPalette"
import type { ListDialog } from "./ListDialogs"
import type { ListActions } from "./use-list-actions"

interface Options extends Pick<ListActions, "groupBy" | "setCollapsed" | "openView"> {
  view: View
  columns: PlanColumns
  savedViews: readonly SavedView[]
  groups: readonly PositionGroup[] | null
  canEdit: boolean
  openDialog: (dialog: ListDialog) => void
  onAddColumn: () => void
}

export function viewCommands({
  view,
  columns,
  savedViews,
  groups,
  canEdit,
  groupBy,
  setCollapsed,
  openView,
  openDialog,
  onAddColumn,
}: Options): Command[] {
  const all: (Command | false)[] = [
    ...columns.groupFields.flatMap((field) => {
      const key = keyOf(field) as GroupColumnKey
      return key === view.group ? [] : [{ id: `group ${key}`, label: `Group by ${fieldNoun(field)}`, run: () => groupBy(key) }]
    }),
    view.group !== null && { id: "ungroup", label: "Remove the groups", run: () => groupBy(null) },
    groups !== null && {
      id: "collapse",
      label: "Collapse all groups",
      run: () => setCollapsed(new Set(groups.map(({ key }) => key))),
    },
    groups !== null && { id: "expand", label: "Expand all groups", run: () => setCollapsed(new Set()) },
    ...savedViews.map(({ id, name, view }) => ({ id: `view ${id}`, label: `Open the view “${name}”`, run: () => openView(view) })),
    { id: "columns", label: "Show, hide and change columns", run: () => openDialog({ kind: "columns" }) },
    canEdit && { id: "add column", label: "Add a column", run: onAddColumn },
    canEdit && { id: "save view", label: "Save the current view", run: () => openDialog({ kind: "save-view", view: formatView(view) }) },
  ]
  return all.filter((command) => command !== false)
}
