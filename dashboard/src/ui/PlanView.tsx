/** View of one plan: summary, review panel, toolbar, grid and dialogs. */

import { decodeHeads, encodeHeads, type UrlHeads } from "@automerge/automerge-repo/slim"
import { type CSSProperties, useCallback, useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react"
import { clearCells, fillCells, pasteCells, type Refusal } from "../grid/cell-changes"
import { type ClipboardTable, isImportTable, toTabSeparated } from "../grid/clipboard"
import { positionsIn, type Rect } from "../grid/range"
import type { DeletedEvent, DiscardedEdit } from "../history/events"
import { departmentUses } from "../plan/department-budgets"
import { mergeHiddenRows, type PositionAtHeads, type SettingsAtHeads } from "../plan/edit"
import { FIELD_COLUMNS, type FieldKey, fieldLabel, fieldNoun, GROUP_FIELDS, isFieldKey } from "../plan/fields"
import { formatFieldValue, unitName } from "../plan/format"
import { newId } from "../plan/id"
import { parseInput } from "../plan/input"
import { distinctGroups, isFiltering } from "../plan/query"
import { SETTING_LABELS, type Setting, shownValue } from "../plan/schema"
import { formatView } from "../plan/view"
import { defaultYearStart } from "../plan/year"
import { readDismissed, saveDismissed } from "../sync/dismissed-edits"
import type { PlanStore } from "../sync/plan-store"
import { type PlanInfo, type ScenarioPlace, writableDocuments } from "../sync/plans"
import type { CellAddress } from "../sync/presence"
import type { Session } from "../sync/session"
import type { SyncState } from "../sync/sync-status"
import { addUnsavedDraft, readUnsavedDrafts, removeUnsavedDraft, type UnsavedDraft } from "../sync/unsaved-drafts"
import { AddForm } from "./AddForm"
import { formatAddress } from "./address"
import { type Command, CommandPalette } from "./CommandPalette"
import { ConflictDialog } from "./ConflictDialog"
import { CommentsDialog } from "./comments/CommentsDialog"
import { mentionKey, useMentions } from "./comments/use-mentions"
import { downloadTable } from "./download-table"
import { EmptyList } from "./EmptyList"
import { ALL_POSITIONS, FILTERED_POSITIONS, type OnExport } from "./ExportItems"
import { FiguresLine, useIsScrolledAway } from "./FiguresLine"
import { Grid } from "./grid/Grid"
import { GroupControls } from "./GroupControls"
import { groupNotesOf } from "./grid/GroupRow"
import { HistoryPanel } from "./HistoryPanel"
import { currentMonth } from "./hooks"
import { ImportDialog } from "./ImportDialog"
import { ImportProgress } from "./ImportProgress"
import { InterruptedImport } from "./InterruptedImport"
import { type ListDialog, ListDialogs } from "./ListDialogs"
import { Logo } from "./Logo"
import { People } from "./People"
import { PlanBanners } from "./PlanBanners"
import { PlanDialog } from "./PlanDialog"
import { PlanMenu } from "./PlanMenu"
import { placeConflicts } from "./place-conflicts"
import { planActions } from "./plan-actions"
import { PrintView } from "./print/PrintView"
import { RefusalsDialog } from "./RefusalsDialog"
import { type DraftItem, ReviewPanel } from "./ReviewPanel"
import { ShareButton } from "./ShareButton"
import { ShortcutsDialog } from "./ShortcutsDialog"
import { Summary } from "./Summary"
import { SyncBadge } from "./SyncBadge"
import { openScenarioCommands, scenarioTitle } from "./scenarios/scenario-commands"
import { type ScenarioHandlers, useScenarios } from "./scenarios/use-scenarios"
import { addToast, type ToastAction, type ToastMessage, Toasts } from "./Toast"
import { SEARCH_ID, Toolbar } from "./Toolbar"
import { saveTheme } from "./theme"
import { UserMenu } from "./UserMenu"
import { useImportRun } from "./use-import-run"
import { useListActions } from "./use-list-actions"
import { useListing } from "./use-listing"
import { usePageKeys } from "./use-page-keys"
import { usePasteImport } from "./use-paste-import"
import { usePlanManagement } from "./use-plan-management"
import { useView } from "./use-view"
import { ViewsMenu } from "./ViewsMenu"
import { viewCommands } from "./view-commands"

interface Props extends ScenarioHandlers {
  store: PlanStore
  plans: readonly PlanInfo[]
  /** The plan, or the plan of the scenario, in the list; `undefined` before it is listed. */
  info: PlanInfo | undefined
  /** The open scenario; `null` if a plan is open. */
  place: ScenarioPlace | null
  /** Number of unsynced changes by plan. */
  pending: ReadonlyMap<string, number>
  session: Session
  name: string
  isViewer: boolean
  /** The plan was deleted, or the user has lost access to it. */
  isRemoved: boolean
  /** A message to show once. */
  notice: string | null
  onNoticeShown: () => void
  onCreate: () => void
  /** Copies the plan under another name and opens the copy. */
  onDuplicate: (name: string) => Promise<void>
  onDelete: (plan: PlanInfo) => Promise<void>
  onArchived: (id: string, isArchived: boolean) => void
  onName: (name: string) => void
  onLogout: () => void
}

/** The open dialog. */
type OpenDialog =
  | { kind: "conflict"; id: string; field: FieldKey }
  | { kind: "setting"; key: Setting }
  | { kind: "history"; id: string | null }
  | { kind: "comments"; id: string }
  | { kind: "import"; text: string | null }
  | { kind: "settings"; before: SettingsAtHeads }
  | { kind: "refusals"; title: string; refusals: readonly Refusal[] }
  | { kind: "commands" }
  | { kind: "shortcuts" }

export function PlanView({ store, plans, info, place, pending, session, name, isViewer, isRemoved, onName, onLogout, ...handlers }: Props) {
  const snapshot = useSyncExternalStore(store.subscribe, store.getSnapshot)
  const { positions, settings, isArchived, sync, people, highlights } = snapshot
  const [view, changeView] = useView(store.id)
  const { filter, sort } = view
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set())
  const [range, setRange] = useState<Rect | null>(null)
  const [open, setOpen] = useState<OpenDialog | null>(null)
  const [dialog, setDialog] = useState<ListDialog | null>(null)
  const [isAdding, setAdding] = useState(false)
  const [toasts, setToasts] = useState<readonly ToastMessage[]>([])
  const [dismissed, setDismissed] = useState(() => readDismissed(store.syncStatus.owner, store.id))
  const owner = store.syncStatus.owner
  const [drafts, setDrafts] = useState(() => readUnsavedDrafts(owner, store.id))
  const toastKeys = useRef(0)
  const summary = useRef<HTMLDivElement>(null)
  const isSummaryAway = useIsScrolledAway(summary)
  const { plan } = store
  const author = name || "Somebody"
  const canWrite = !isViewer && !isRemoved
  const canEdit = canWrite && !isArchived
  // Without write access, pending changes never sync.
  const isRejected = isRemoved || (isViewer && sync.pending > 0 && sync.kind !== "offline")
  const badge: SyncState = isRejected && sync.kind !== "not-allowed" ? { ...sync, kind: "not-allowed", accessError: "not-allowed" } : sync

  const { onOpen, notice, onNoticeShown } = handlers
  const otherPending = writableDocuments(plans).filter((id) => id !== store.id && pending.has(id)).length
  // The name that a scenario contains is the one that its plan had when it was copied.
  const planName = place?.plan.name ?? settings.name
  const title = place ? scenarioTitle(place) : planName

  useEffect(() => {
    document.title = title ? `${title} – Happierwork` : "Happierwork"
  }, [title])

  const [editedId, setEditedId] = useState<string | null>(null)
  const { shown, groups, lines } = useListing(positions, view, editedId)
  const listActions = useListActions(changeView)
  const { filterGroup, clearFilters } = listActions
  const yearStart = settings.yearStart ?? defaultYearStart(settings.currency, currentMonth())
  // Hidden rows are not selected, so that nobody deletes rows they do not see.
  const visibleSelection = useMemo(() => {
    if (selected.size === 0) return selected
    const visible = new Set(shown.map((position) => position.id))
    const remaining = new Set([...selected].filter((id) => visible.has(id)))
    return remaining.size === selected.size ? selected : remaining
  }, [selected, shown])

  const showToast = useCallback((text: string, ...actions: ToastAction[]) => {
    toastKeys.current += 1
    const toast = { key: toastKeys.current, text, actions }
    setToasts((before) => addToast(before, toast))
  }, [])
  useEffect(() => {
    if (notice === null) return
    showToast(notice)
    onNoticeShown()
  }, [notice, showToast, onNoticeShown])
  const actions = planActions({
    store,
    author,
    showToast,
    showRefusals: (title, refusals) => setOpen({ kind: "refusals", title, refusals }),
  })
  const tableImport = useImportRun(store, actions)
  const undoState = useSyncExternalStore(store.undoStack.subscribe, () => store.undoStack.state)
  usePageKeys({
    undo: canEdit ? () => void actions.undo() : null,
    redo: canEdit ? () => void actions.redo() : null,
    search: () => document.getElementById(SEARCH_ID)?.focus(),
    commands: () => setOpen({ kind: "commands" }),
    shortcuts: () => setOpen({ kind: "shortcuts" }),
  })
  const dismissToast = useCallback((toast: ToastMessage) => setToasts((before) => before.filter((other) => other !== toast)), [])
  const viewText = formatView(view)
  const onRemove = (ids: readonly string[]) => {
    actions.remove(ids)
    setSelected(new Set())
  }
  const onClear = (rect: Rect, cut: boolean) =>
    actions.changeCells(clearCells(lines.positions, rect), cut ? { done: "Cut", noun: "cut" } : { done: "Cleared", noun: "clearing" })
  const onFill = (source: Rect, target: Rect) =>
    actions.changeCells(fillCells(lines.positions, source, target), { done: "Filled", noun: "filling" })
  const onPaste = (target: Rect | "below", table: ClipboardTable, onAdded: (ids: readonly string[]) => void) => {
    // A table with a header is imported by the names of its columns.
    if (isImportTable(table)) setOpen({ kind: "import", text: toTabSeparated(table) })
    else actions.changeCells(pasteCells(lines.positions, target, table, settings), { done: "Pasted", noun: "paste" }, onAdded)
  }
  const onDeletedWhileEditing = useCallback(
    ({ position, heads }: PositionAtHeads, field: FieldKey, text: string | null) => {
      if (text === null) return showToast(`Somebody deleted “${position.designation}” while you were editing it.`)
      const { id, designation } = position
      setDrafts(addUnsavedDraft(owner, store.id, { key: newId(), id, name: designation, heads: decodeHeads(heads), field, text }))
      showToast(`Somebody deleted “${designation}” while you were editing it. Your text is kept for review.`)
    },
    [store, owner, showToast],
  )
  /** Heads at which a deleted position is complete, with the edits that its deletion discarded. */
  const headsWithRow = (id: string, before: readonly string[]): UrlHeads => {
    const edits = snapshot.discardedEdits.filter((edit) => edit.position === id).flatMap(({ heads }) => heads)
    return encodeHeads([...new Set([...before, ...edits])])
  }
  const onDiscardDraft = (item: UnsavedDraft) => setDrafts(removeUnsavedDraft(owner, store.id, item))
  usePasteImport(positions.length === 0 && canEdit, {
    settings,
    onTable: (text) => setOpen({ kind: "import", text }),
    onRefused: (reason) => showToast(`Nothing was pasted. The amounts were ${reason}`),
  })
  const onApplyDraft = async ({ draft: item, input }: DraftItem) => {
    const { id, field } = item
    // The position may have changed after the draft was saved and before it was deleted.
    const before = await store.history?.request("headsBeforeDeletion", { position: id }).catch(() => null)
    const typed = "value" in input ? { field, value: input.value } : null
    if (store.get(id)) {
      if (typed) actions.setValue(id, field, typed.value)
    } else {
      const missing = actions.restore([{ id, heads: headsWithRow(id, before ?? item.heads), ...(typed && { override: typed }) }])
      if (missing.length > 0) return showToast(`“${item.name}” cannot be restored: it is missing from this copy of the plan.`)
    }
    // An invalid draft stays listed.
    if (typed) onDiscardDraft(item)
  }
  const onExport: OnExport = (rows, format, scope) => {
    downloadTable(format, store, rows, scope, yearStart, title).catch(() => showToast("The table could not be exported."))
  }
  const onShare = async () => {
    const link = new URL(formatAddress({ plan: store.id, view: viewText }), location.href).href
    try {
      await navigator.clipboard.writeText(link)
      showToast(viewText === "" ? "Link copied." : "Link to this view copied.")
    } catch {
      window.prompt("Link to this plan:", link)
    }
  }
  const onRestore = ({ position: id, name, field, heads }: DiscardedEdit) => {
    if (store.get(id)) return actions.restoreValue(id, field, encodeHeads(heads))
    actions.restore([{ id, heads: headsWithRow(id, heads) }])
    showToast(`Restored “${name}”.`)
  }
  const onRestorePositions = (deleted: readonly DeletedEvent[]) => {
    actions.restore(deleted.map(({ position: id, heads }) => ({ id, heads: headsWithRow(id, heads) })))
  }
  const onDismiss = ({ key }: { key: string }) => {
    const next = new Set([...dismissed, key])
    saveDismissed(owner, store.id, next)
    setDismissed(next)
  }
  /** The position of the cell that had the focus last. */
  const focusedId = useRef<string | null>(null)
  const onCellFocus = useCallback(
    (cell: CellAddress | null) => {
      focusedId.current = cell?.position ?? focusedId.current
      store.presence.setCell(cell)
    },
    [store],
  )
  const onComments = useCallback((id: string) => setOpen({ kind: "comments", id }), [])
  const onConflict = useCallback((id: string, field: FieldKey) => setOpen({ kind: "conflict", id, field }), [])
  const close = useCallback(() => setOpen(null), [])
  const closeDialog = useCallback(() => setDialog(null), [])
  const openSettings = useCallback(() => setOpen({ kind: "settings", before: store.readSettings() }), [store])

  const { onArchived } = handlers
  useEffect(() => onArchived(store.id, isArchived), [store, isArchived, onArchived])
  const management = usePlanManagement({
    ...handlers,
    ...{ store, info, place, author, session, canWrite, isArchived, isRemoved, showToast },
    name: planName,
    isOnline: sync.kind !== "offline",
    onSettings: openSettings,
    onCopyLink: () => void onShare(),
  })
  const scenarios = useScenarios({
    ...handlers,
    ...{ store, yearStart, place, info, settings, author, session, sync, canWrite, isArchived, isRemoved },
  })
  const suggestions = useMemo(() => GROUP_FIELDS.map((field) => ({ field, groups: distinctGroups(positions, field) })), [positions])
  const openPosition = open && "id" in open && open.id !== null ? store.get(open.id) : undefined
  const positionsById = useMemo(() => new Map(positions.map((position) => [position.id, position])), [positions])
  const discardedEdits = useMemo(
    () =>
      snapshot.discardedEdits.flatMap((edit) => {
        const position = positionsById.get(edit.position) ?? null
        const isApplied = position !== null && isFieldKey(edit.field) && !edit.nested && shownValue(position, edit.field) === edit.value
        return dismissed.has(edit.key) || isApplied ? [] : [{ edit, position }]
      }),
    [snapshot.discardedEdits, positionsById, dismissed],
  )
  const draftItems = useMemo(
    () =>
      drafts.map(
        (item): DraftItem => ({
          draft: item,
          input: parseInput(item.field, item.text, settings),
          position: positionsById.get(item.id) ?? null,
        }),
      ),
    [drafts, positionsById, settings],
  )
  const { people: mentionable, mentions } = useMentions(snapshot, name, dismissed)
  const isFiltered = isFiltering(filter)
  const departments = useMemo(() => departmentUses(positions, snapshot.departmentBudgets), [positions, snapshot.departmentBudgets])
  const groupNotes = useMemo(() => groupNotesOf(view.group, departments, isFiltered), [view.group, departments, isFiltered])
  const placesInConflict = useMemo(
    () => placeConflicts(snapshot.departmentBudgets, snapshot.savedViews),
    [snapshot.departmentBudgets, snapshot.savedViews],
  )
  const openBudgets = useCallback(() => setDialog({ kind: "budgets", before: store.readDepartmentBudgets() }), [store])
  /** The checked positions, or those of the selected cells. */
  const chosenIds = () =>
    visibleSelection.size > 0 ? [...visibleSelection] : range ? positionsIn(lines.positions, range).map(({ id }) => id) : []
  const commands = (): Command[] => {
    const focused = store.get(focusedId.current ?? "")
    const all: (Command | false)[] = [
      canEdit && { id: "add", label: "Add a position", run: () => setAdding(true) },
      canEdit && undoState.undo !== null && { id: "undo", label: `Undo ${undoState.undo}`, keys: "Ctrl+Z", run: () => void actions.undo() },
      canEdit &&
        undoState.redo !== null && { id: "redo", label: `Redo ${undoState.redo}`, keys: "Ctrl+Shift+Z", run: () => void actions.redo() },
      { id: "search", label: "Search positions", keys: "/", run: () => document.getElementById(SEARCH_ID)?.focus() },
      isFiltered && { id: "clear", label: "Clear search and filters", run: clearFilters },
      ...viewCommands({ view, savedViews: snapshot.savedViews, canEdit, groups, ...listActions, openDialog: setDialog }),
      canEdit &&
        chosenIds().length > 0 && {
          id: "bulk",
          label: "Edit the selected positions",
          run: () => setDialog({ kind: "bulk", ids: chosenIds() }),
        },
      focused?.invalidEntry === undefined &&
        focused !== undefined && {
          id: "comments",
          label: `${canEdit ? "Comment" : "Show the comments"} on the focused position`,
          keys: "Shift+F2",
          run: () => onComments(focused.id),
        },
      canEdit && { id: "budgets", label: "Set department budgets", run: openBudgets },
      canEdit && { id: "import", label: "Import a table (Excel, CSV)", run: () => setOpen({ kind: "import", text: null }) },
      ...(["xlsx", "csv"] as const).map((format) => ({
        id: `export ${format}`,
        label: `Export ${isFiltered ? "filtered positions" : "all"} as ${format === "xlsx" ? "Excel" : "CSV"}`,
        run: () => onExport(shown, format, isFiltered ? FILTERED_POSITIONS : ALL_POSITIONS),
      })),
      { id: "history", label: "Show the history of the plan", run: () => setOpen({ kind: "history", id: null }) },
      ...[...scenarios.commands, ...management.commands].map(({ command, icon: _, ...rest }) => ({ ...rest, label: command })),
      ...plans
        .filter(({ id, isBroken }) => id !== store.id && !isBroken)
        .map(({ id, name: planName }) => ({ id: `open ${id}`, label: `Open the plan “${planName || "Untitled"}”`, run: () => onOpen(id) })),
      ...openScenarioCommands(plans, store.id, onOpen),
      ...suggestions.flatMap(({ field, groups }) =>
        groups.map(({ key, name: group }) => ({
          id: `filter ${field} ${key}`,
          label: `Filter by ${fieldNoun(field)}: ${group}`,
          run: () => filterGroup(field, key),
        })),
      ),
      ...(["light", "dark", "system"] as const).map((theme) => ({
        id: `theme ${theme}`,
        label: `Use the ${theme === "system" ? "theme of the system" : `${theme} theme`}`,
        run: () => saveTheme(theme),
      })),
      { id: "shortcuts", label: "Show keyboard shortcuts", keys: "?", run: () => setOpen({ kind: "shortcuts" }) },
    ]
    return all.filter((command) => command !== false)
  }

  return (
    <div className={isSummaryAway ? "page summary-away" : "page"} style={{ "--field-columns": FIELD_COLUMNS } as CSSProperties}>
      {/* biome-ignore lint/a11y/useValidAnchor: the link moves the focus; the URL fragment names the plan */}
      <a
        className="skip"
        href="#list"
        onClick={(event) => {
          // The URL fragment contains the plan id.
          event.preventDefault()
          document.getElementById("list")?.focus()
        }}
      >
        Skip to the list
      </a>
      <header className="top">
        <Logo />
        <h1>
          <PlanMenu
            plans={plans}
            pending={pending}
            current={store.id}
            name={planName}
            scenario={place}
            isArchived={isArchived}
            commands={[...scenarios.commands, ...management.commands]}
            onOpen={onOpen}
          />
        </h1>
        <span className="spring" />
        <People people={people} />
        <SyncBadge sync={badge} otherPlans={otherPending} />
        {!isRemoved && <ShareButton onShare={management.share} />}
        <UserMenu session={session} name={name} onName={onName} onLogout={onLogout} />
      </header>
      <main>
        {scenarios.bar}
        <PlanBanners
          {...{ session, sync, isViewer, isRemoved, isArchived }}
          isScenario={place !== null}
          onRestore={canWrite ? management.restore : null}
        />
        {tableImport.interrupted && canEdit && (
          <InterruptedImport
            interrupted={tableImport.interrupted}
            onUndo={tableImport.undoInterrupted}
            onKeep={tableImport.keepInterrupted}
          />
        )}
        <div ref={summary}>
          <Summary
            positions={positions}
            shown={shown}
            departments={departments}
            yearStart={yearStart}
            settings={settings}
            filter={filter}
            onFilterGroup={filterGroup}
            onSettings={canEdit ? openSettings : null}
            onDepartmentBudgets={canEdit ? openBudgets : null}
          />
        </div>
        {isSummaryAway && <FiguresLine positions={positions} shown={isFiltered ? shown : null} settings={settings} />}
        <ReviewPanel
          positions={positions}
          settings={snapshot.settingConflicts}
          places={placesInConflict}
          drafts={draftItems}
          mentions={mentions}
          discardedEdits={discardedEdits}
          hiddenRows={snapshot.hiddenRows}
          historyProblem={snapshot.historyProblem}
          canEdit={canEdit}
          onConflict={onConflict}
          onSetting={(key) => setOpen({ kind: "setting", key })}
          onPlace={(place) => setDialog({ kind: "place", place })}
          onRestore={onRestore}
          onDismiss={onDismiss}
          onApplyDraft={(here) => void onApplyDraft(here)}
          onDiscardDraft={onDiscardDraft}
          onMergeHiddenRows={() => mergeHiddenRows(plan, author)}
          onShowComments={onComments}
          onDismissMention={(mention) => onDismiss({ key: mentionKey(mention) })}
        />
        <Toolbar
          all={positions}
          shown={shown}
          rows={lines.positions}
          viewControls={
            <>
              <GroupControls
                grouping={view.group}
                groups={groups}
                collapsed={view.collapsed}
                onGroup={listActions.groupBy}
                onCollapsed={listActions.setCollapsed}
              />
              <ViewsMenu
                views={snapshot.savedViews}
                current={viewText}
                canEdit={canEdit}
                onOpen={listActions.openView}
                onSave={() => setDialog({ kind: "save-view", view: viewText })}
                onRename={(saved) => setDialog({ kind: "rename-view", saved, base: snapshot.heads })}
                onUpdate={(saved) => actions.changeView(saved, "view", viewText, snapshot.heads)}
                onDelete={actions.deleteView}
              />
            </>
          }
          selected={visibleSelection}
          range={range}
          history={undoState}
          settings={settings}
          filter={filter}
          canEdit={canEdit}
          onFilter={listActions.changeFilter}
          onFilterGroup={filterGroup}
          onAdd={() => setAdding(true)}
          onImport={() => setOpen({ kind: "import", text: null })}
          onExport={onExport}
          onHistory={() => setOpen({ kind: "history", id: null })}
          onUndo={() => void actions.undo()}
          onRedo={() => void actions.redo()}
          onRemove={onRemove}
          onBulkEdit={() => setDialog({ kind: "bulk", ids: chosenIds() })}
          onDeselect={() => setSelected(new Set())}
        />
        {isAdding && canEdit && <AddForm settings={settings} onClose={() => setAdding(false)} onAdd={actions.add} />}
        <div id="list" tabIndex={-1}>
          {(shown.length > 0 || editedId !== null) && (
            <Grid
              lines={lines}
              listed={shown}
              grouping={view.group}
              hasFiguresLine={isSummaryAway}
              heads={snapshot.heads}
              settings={settings}
              people={people}
              highlights={highlights}
              comments={snapshot.comments}
              selected={visibleSelection}
              sort={sort}
              canEdit={canEdit}
              onSelected={setSelected}
              onSort={listActions.sortBy}
              onCollapse={listActions.collapse}
              groupNote={(key) => groupNotes.get(key) ?? null}
              onSet={actions.setCell}
              readPosition={(id) => store.readPosition(id)}
              onEditing={setEditedId}
              onConflict={onConflict}
              onComments={onComments}
              onHistory={(id) => setOpen({ kind: "history", id })}
              onRemove={onRemove}
              onCellFocus={onCellFocus}
              onRange={setRange}
              onClear={onClear}
              onFill={onFill}
              onPaste={onPaste}
              onAdd={isFiltered ? null : () => setAdding(true)}
              onDeletedWhileEditing={onDeletedWhileEditing}
            />
          )}
          {shown.length === 0 && editedId === null && (
            <EmptyList
              isFiltered={isFiltered && positions.length > 0}
              onClearFilters={clearFilters}
              onAdd={canEdit ? () => setAdding(true) : null}
              onImport={() => setOpen({ kind: "import", text: null })}
            />
          )}
        </div>
        {suggestions.map(({ field, groups }) => (
          <datalist key={field} id={`all-${field}`}>
            {groups.map(({ key, name }) => (
              <option key={key} value={name} />
            ))}
          </datalist>
        ))}
      </main>
      {open?.kind === "conflict" && openPosition && (
        <ConflictDialog
          store={store}
          title={`${fieldLabel(open.field)} of ${openPosition.designation}`}
          value={shownValue(openPosition, open.field)}
          format={(value) => formatFieldValue(open.field, value)}
          setBy={openPosition.updatedBy}
          conflict={openPosition.conflicts?.[open.field] ?? null}
          onResolve={canEdit ? (operation) => actions.resolve(open.id, open.field, operation) : null}
          onClose={close}
        />
      )}
      {open?.kind === "setting" && (
        <ConflictDialog
          store={store}
          title={`${SETTING_LABELS[open.key]} of the plan`}
          value={settings[open.key]}
          setBy=""
          conflict={snapshot.settingConflicts?.[open.key] ?? null}
          format={(value) => (open.key === "unit" ? unitName(Number(value)) || "single" : formatFieldValue(open.key, value))}
          onResolve={canEdit ? (operation) => actions.resolveSetting(open.key, operation) : null}
          onClose={close}
        />
      )}
      {open?.kind === "history" && (
        <HistoryPanel
          store={store}
          snapshot={snapshot}
          id={open.id}
          position={openPosition}
          canEdit={canEdit}
          hasAttribution={session.user !== null}
          onRestore={actions.setValue}
          onRestorePositions={onRestorePositions}
          onApprove={actions.approve}
          onComments={onComments}
          onClose={close}
        />
      )}
      {open?.kind === "comments" && (
        <CommentsDialog
          id={open.id}
          name={openPosition?.designation ?? null}
          comments={snapshot.comments.get(open.id) ?? []}
          people={mentionable}
          me={name}
          author={author}
          canEdit={canEdit}
          draftKey={`${owner}/${store.id}/${open.id}`}
          actions={actions}
          onClose={close}
        />
      )}
      {open?.kind === "import" && (
        <ImportDialog
          text={open.text}
          store={store}
          settings={settings}
          onImport={(changes) => {
            close()
            tableImport.run(changes)
          }}
          onClose={close}
        />
      )}
      {open?.kind === "settings" && (
        <PlanDialog
          title={place ? "Settings of the scenario" : "Plan settings"}
          settings={open.before.settings}
          hasName={place === null}
          button="Save"
          onSave={(next) => {
            setOpen(null)
            actions.changeSettings(next, open.before)
          }}
          onClose={close}
        />
      )}
      {dialog && (
        <ListDialogs dialog={dialog} store={store} snapshot={snapshot} actions={actions} canEdit={canEdit} onClose={closeDialog} />
      )}
      {open?.kind === "commands" && (
        <CommandPalette commands={commands()} onSearch={(search) => listActions.changeFilter({ search })} onClose={close} />
      )}
      {open?.kind === "shortcuts" && <ShortcutsDialog onClose={close} />}
      {open?.kind === "refusals" && <RefusalsDialog title={open.title} refusals={open.refusals} onClose={close} />}
      {tableImport.running && <ImportProgress running={tableImport.running} onStop={tableImport.stop} />}
      {management.dialog}
      {scenarios.dialog}
      <PrintView
        {...{ positions, settings: place ? { ...settings, name: title } : settings, isArchived, sync, filter, sort }}
        settingConflicts={snapshot.settingConflicts}
        placeConflicts={placesInConflict.length}
      />
      <Toasts toasts={toasts} onDismiss={dismissToast} />
    </div>
  )
}
