/** The commands of the palette for the open plan. */
import { fieldNoun, type GroupColumnKey, type GroupField, keyOf } from "../plan/fields"
import type { PositionGroup } from "../plan/grouping"
import type { Group } from "../plan/query"
import type { Position } from "../plan/schema"
import type { View } from "../plan/view"
import type { PlanSnapshot } from "../sync/plan-store"
import type { PlanInfo } from "../sync/plans"
import type { UndoState } from "../sync/undo-stack"
import type { Command } from "./CommandPalette"
import { ALL_POSITIONS, FILTERED_POSITIONS, type OnExport } from "./ExportItems"
import type { ListDialog } from "./ListDialogs"
import type { OpenDialog } from "./PlanDialogs"
import type { PlanActions } from "./plan-actions"
import { openScenarioCommands } from "./scenarios/scenario-commands"
import { SEARCH_ID } from "./Toolbar"
import { saveTheme } from "./theme"
import type { ListActions } from "./use-list-actions"
import type { PlanCommand } from "./use-plan-management"
import { viewCommands } from "./view-commands"

interface Options {
  snapshot: PlanSnapshot
  plans: readonly PlanInfo[]
  /** Id of the open document. */
  current: string
  view: View
  /** The positions that match the filter, and their groups. */
  shown: readonly Position[]
  groups: readonly PositionGroup[] | null
  isFiltered: boolean
  /** The groups of each field, for filters. */
  suggestions: readonly { field: GroupField; groups: readonly Group[] }[]
  /** The position with the focus. */
  focused: Position | undefined
  /** The checked positions, or those of the selected cells. */
  chosenIds: readonly string[]
  undoState: UndoState
  canEdit: boolean
  actions: PlanActions
  listActions: ListActions
  /** Commands for the plan and its scenarios. */
  planCommands: readonly PlanCommand[]
  onAdd: () => void
  onBudgets: () => void
  onAddColumn: () => void
  onExport: OnExport
  onOpen: (id: string) => void
  openDialog: (dialog: OpenDialog) => void
  openListDialog: (dialog: ListDialog) => void
}

export function paletteCommands(options: Options): Command[] {
  const { snapshot, plans, current, view, shown, groups, isFiltered, suggestions, focused, chosenIds } = options
  const { undoState, canEdit, actions, listActions, planCommands, onExport, onOpen, openDialog, openListDialog } = options
  const all: (Command | false)[] = [
    canEdit && { id: "add", label: "Add a position", run: options.onAdd },
    canEdit && undoState.undo !== null && { id: "undo", label: `Undo ${undoState.undo}`, keys: "Ctrl+Z", run: () => void actions.undo() },
    canEdit &&
      undoState.redo !== null && { id: "redo", label: `Redo ${undoState.redo}`, keys: "Ctrl+Shift+Z", run: () => void actions.redo() },
    { id: "search", label: "Search positions", keys: "/", run: () => document.getElementById(SEARCH_ID)?.focus() },
    isFiltered && { id: "clear", label: "Clear search and filters", run: listActions.clearFilters },
    ...viewCommands({
      view,
      columns: snapshot.columns,
      savedViews: snapshot.savedViews,
      canEdit,
      groups,
      ...listActions,
      openDialog: openListDialog,
      onAddColumn: options.onAddColumn,
    }),
    canEdit &&
      chosenIds.length > 0 && {
        id: "bulk",
        label: "Edit the selected positions",
        run: () => openListDialog({ kind: "bulk", ids: chosenIds }),
      },
    focused?.invalidEntry === undefined &&
      focused !== undefined && {
        id: "comments",
        label: `${canEdit ? "Comment" : "Show the comments"} on the focused position`,
        keys: "Shift+F2",
        run: () => openDialog({ kind: "comments", id: focused.id }),
      },
    canEdit && { id: "budgets", label: "Set department budgets", run: options.onBudgets },
    canEdit && { id: "import", label: "Import a table (Excel, CSV)", run: () => openDialog({ kind: "import", text: null }) },
    ...(["xlsx", "csv"] as const).map((format) => ({
      id: `export ${format}`,
      label: `Export ${isFiltered ? "filtered positions" : "all"} as ${format === "xlsx" ? "Excel" : "CSV"}`,
      run: () => onExport(shown, format, isFiltered ? FILTERED_POSITIONS : ALL_POSITIONS),
    })),
    { id: "history", label: "Show the history of the plan", run: () => openDialog({ kind: "history", id: null }) },
    ...planCommands.map(({ command, icon: _, ...rest }) => ({ ...rest, label: command })),
    ...plans
      .filter(({ id, isBroken }) => id !== current && !isBroken)
      .map(({ id, name }) => ({ id: `open ${id}`, label: `Open the plan “${name || "Untitled"}”`, run: () => onOpen(id) })),
    ...openScenarioCommands(plans, current, onOpen),
    ...suggestions.flatMap(({ field, groups: values }) =>
      values.map(({ key, name: group }) => ({
        id: `filter ${keyOf(field)} ${key}`,
        label: `Filter by ${fieldNoun(field)}: ${group}`,
        run: () => listActions.filterGroup(keyOf(field) as GroupColumnKey, key),
      })),
    ),
    ...(["light", "dark", "system"] as const).map((theme) => ({
      id: `theme ${theme}`,
      label: `Use the ${theme === "system" ? "theme of the system" : `${theme} theme`}`,
      run: () => saveTheme(theme),
    })),
    { id: "shortcuts", label: "Show keyboard shortcuts", keys: "?", run: () => openDialog({ kind: "shortcuts" }) },
  ]
  return all.filter((command) => command !== false)
}
