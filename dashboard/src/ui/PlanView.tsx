/** View of one plan: summary, review panel, toolbar, grid and dialogs. */

import { type CSSProperties, useCallback, useDeferredValue, useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react"
import { positionsIn, type Rect } from "../grid/range"
import { departmentUses } from "../plan/department-budgets"
import { mergeHiddenRows } from "../plan/edit"
import { type ColumnKey, gridColumns } from "../plan/fields"
import { isFiltering } from "../plan/query"
import { defaultYearStart } from "../plan/year"
import { formDrafts } from "../sync/form-drafts"
import type { PlanStore } from "../sync/plan-store"
import { type PlanInfo, type ScenarioPlace, writableDocuments } from "../sync/plans"
import type { CellAddress } from "../sync/presence"
import type { Session } from "../sync/session"
import type { SyncState } from "../sync/sync-status"
import { AddForm } from "./AddForm"
import { ColumnsButton } from "./ColumnsButton"
import { cellHandlers } from "./cell-handlers"
import { mentionKey, useMentions } from "./comments/use-mentions"
import { copyLink } from "./copy-link"
import { downloadTable } from "./download-table"
import { EmptyList } from "./EmptyList"
import type { OnExport } from "./ExportItems"
import { FiguresLine, useIsScrolledAway } from "./FiguresLine"
import { LIST_ID } from "./focus-list"
import { GroupControls } from "./GroupControls"
import { Grid } from "./grid/Grid"
import { groupNotesOf } from "./grid/GroupRow"
import { currentMonth } from "./hooks"
import { ImportProgress } from "./ImportProgress"
import { InterruptedImport } from "./InterruptedImport"
import { type ListDialog, ListDialogs } from "./ListDialogs"
import { PlanBanners } from "./PlanBanners"
import { PlanContexts } from "./PlanContexts"
import { type OpenDialog, PlanDialogs } from "./PlanDialogs"
import { PlanHeader } from "./PlanHeader"
import { placeConflicts } from "./place-conflicts"
import { planActions } from "./plan-actions"
import { paletteCommands } from "./plan-commands"
import { PrintView } from "./print/PrintView"
import { ReviewPanel } from "./ReviewPanel"
import { reopenForms } from "./reopened-forms"
import { SkipLink } from "./SkipLink"
import { fieldGroups, Suggestions } from "./Suggestions"
import { Summary } from "./Summary"
import { scenarioTitle } from "./scenarios/scenario-commands"
import { type ScenarioHandlers, useScenarios } from "./scenarios/use-scenarios"
import { Toasts } from "./Toast"
import { SEARCH_ID, Toolbar } from "./Toolbar"
import { useImportRun } from "./use-import-run"
import { useList } from "./use-list"
import { usePageKeys } from "./use-page-keys"
import { usePasteImport } from "./use-paste-import"
import { usePlanManagement } from "./use-plan-management"
import { useReview } from "./use-review"
import { useToasts } from "./use-toasts"
import { ViewsMenu } from "./ViewsMenu"
import { useVersions } from "./versions/use-versions"

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

export function PlanView({ store, plans, info, place, pending, session, name, isViewer, isRemoved, onName, onLogout, ...handlers }: Props) {
  const snapshot = useSyncExternalStore(store.subscribe, store.getSnapshot)
  const { positions, columns, settings, isArchived, successor, sync, people, highlights } = snapshot
  const list = useList(store, snapshot)
  const { view, viewText, fields, sizes, shown, groups, lines, groupField, listActions, selected, setSelected, editedId } = list
  const { filter, sort } = view
  // The cell that was edited is rendered first, and then what counts all positions.
  const settled = useDeferredValue(positions)
  const settledShown = useDeferredValue(shown)
  const { filterGroup, clearFilters } = listActions
  const [range, setRange] = useState<Rect | null>(null)
  const canWrite = !isViewer && !isRemoved
  const canEdit = canWrite && !isArchived
  const [drafts] = useState(() => formDrafts(store.syncStatus.owner, store.id))
  const [reopened] = useState(() => reopenForms(drafts, store, canEdit))
  const [open, setOpen] = useState<OpenDialog | null>(reopened.open)
  const [dialog, setDialog] = useState<ListDialog | null>(reopened.dialog)
  const [isAdding, setAdding] = useState(() => drafts.read("add") !== null)
  const { toasts, showToast, dismissToast } = useToasts()
  const summary = useRef<HTMLDivElement>(null)
  const isSummaryAway = useIsScrolledAway(summary)
  const { plan } = store
  const author = name || "Somebody"
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

  const yearStart = settings.yearStart ?? defaultYearStart(settings.currency, currentMonth())
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
  const onRemove = (ids: readonly string[]) => {
    actions.remove(ids)
    setSelected(new Set())
  }
  const review = useReview({ store, snapshot, actions, showToast })
  const onTable = (text: string) => setOpen({ kind: "import", text })
  usePasteImport(positions.length === 0 && canEdit, {
    settings,
    onTable,
    onRefused: (reason) => showToast(`Nothing was pasted. The amounts were ${reason}`),
  })
  const onExport: OnExport = (rows, format, scope) => {
    downloadTable(format, store, rows, scope, yearStart, title).catch(() => showToast("The table could not be exported."))
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
  const onConflict = useCallback((id: string, field: ColumnKey) => setOpen({ kind: "conflict", id, field }), [])
  const close = useCallback(() => {
    drafts.clear("settings")
    setOpen(null)
  }, [drafts])
  const closeDialog = useCallback(() => {
    for (const form of ["bulk", "budgets", "column"] as const) drafts.clear(form)
    setDialog(null)
  }, [drafts])
  const closeAdding = useCallback(() => {
    drafts.clear("add")
    setAdding(false)
  }, [drafts])
  const openSettings = useCallback(() => setOpen({ kind: "settings", before: store.readSettings() }), [store])

  const { onArchived } = handlers
  useEffect(() => onArchived(store.id, isArchived), [store, isArchived, onArchived])
  const management = usePlanManagement({
    ...handlers,
    ...{ store, info, place, author, session, canWrite, isArchived, isRemoved, showToast },
    name: planName,
    isOnline: sync.kind !== "offline",
    onSettings: openSettings,
    onCopyLink: () => void copyLink(store.id, viewText, showToast),
  })
  const scenarios = useScenarios({
    ...handlers,
    ...{ store, yearStart, place, info, settings, author, session, sync, canWrite, isArchived, isRemoved, showToast },
  })
  const versions = useVersions({ store, snapshot, yearStart, canEdit, actions, showToast })
  const { people: mentionable, mentions } = useMentions(snapshot, name, review.dismissed)
  const isFiltered = isFiltering(filter)
  const departments = useMemo(() => departmentUses(settled, snapshot.departmentBudgets), [settled, snapshot.departmentBudgets])
  const groupNotes = useMemo(() => groupNotesOf(groupField, departments, isFiltered), [groupField, departments, isFiltered])
  const placesInConflict = placeConflicts(snapshot)
  const openBudgets = useCallback(() => setDialog({ kind: "budgets", before: store.readDepartmentBudgets() }), [store])
  /** The checked positions, or those of the selected cells. */
  const chosenIds = () => (selected.size > 0 ? [...selected] : range ? positionsIn(lines.positions, range).map(({ id }) => id) : [])
  const planCommands = [...scenarios.commands, ...versions.commands, ...management.commands]
  const commands = () =>
    paletteCommands({
      ...{ snapshot, plans, view, shown, groups, isFiltered, undoState, canEdit, actions, listActions, onExport, onOpen },
      current: store.id,
      suggestions: fieldGroups(columns, positions),
      focused: store.get(focusedId.current ?? ""),
      chosenIds: chosenIds(),
      planCommands,
      onAdd: () => setAdding(true),
      onBudgets: openBudgets,
      onAddColumn: () => setDialog({ kind: "column", before: store.readColumn(null) }),
      openDialog: setOpen,
      openListDialog: setDialog,
    })

  const style = { "--field-columns": gridColumns(fields, sizes.widths) } as CSSProperties
  return (
    <PlanContexts columns={columns} drafts={drafts}>
      <div className={isSummaryAway ? "page summary-away" : "page"} style={style}>
        <SkipLink />
        <PlanHeader
          {...{ plans, pending, planName, isArchived, people, otherPending, session, name, onOpen, onName, onLogout }}
          current={store.id}
          scenario={place}
          commands={planCommands}
          sync={badge}
          onShare={isRemoved ? null : management.share}
        />
        <main>
          {scenarios.bar}
          <PlanBanners
            {...{ session, sync, isViewer, isRemoved, isArchived, successor, onOpen }}
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
              positions={settled}
              shown={settledShown}
              departments={departments}
              yearStart={yearStart}
              settings={settings}
              filter={filter}
              onFilterGroup={filterGroup}
              onSettings={canEdit ? openSettings : null}
              onDepartmentBudgets={canEdit ? openBudgets : null}
            />
          </div>
          {isSummaryAway && <FiguresLine positions={settled} shown={isFiltered ? settledShown : null} settings={settings} />}
          <ReviewPanel
            positions={positions}
            settings={snapshot.settingConflicts}
            places={placesInConflict}
            drafts={review.drafts}
            mentions={mentions}
            discardedEdits={review.discardedEdits}
            hiddenRows={snapshot.hiddenRows}
            historyProblem={snapshot.historyProblem}
            canEdit={canEdit}
            onConflict={onConflict}
            onSetting={(key) => setOpen({ kind: "setting", key })}
            onPlace={(place) => setDialog({ kind: "place", place })}
            onRestore={review.onRestore}
            onDismiss={review.onDismiss}
            onApplyDraft={(item) => void review.onApplyDraft(item)}
            onDiscardDraft={review.onDiscardDraft}
            onMergeHiddenRows={() => mergeHiddenRows(plan, author)}
            onShowComments={onComments}
            onDismissMention={(mention) => review.onDismiss({ key: mentionKey(mention) })}
          />
          <Toolbar
            all={positions}
            settled={settled}
            shown={shown}
            rows={lines.positions}
            fields={fields}
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
                <ColumnsButton onOpen={() => setDialog({ kind: "columns" })} />
              </>
            }
            selected={selected}
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
          {isAdding && canEdit && <AddForm settings={settings} onClose={closeAdding} onAdd={actions.add} />}
          <div id={LIST_ID} tabIndex={-1}>
            {(shown.length > 0 || editedId !== null) && (
              <Grid
                lines={lines}
                listed={shown}
                fields={fields}
                grouping={groupField}
                hasFiguresLine={isSummaryAway}
                heads={snapshot.heads}
                settings={settings}
                people={people}
                highlights={highlights}
                comments={snapshot.comments}
                selected={selected}
                sort={sort}
                canEdit={canEdit}
                onSelected={setSelected}
                onSort={listActions.sortBy}
                onResize={sizes.resize}
                onCollapse={listActions.collapse}
                groupNote={(key) => groupNotes.get(key) ?? null}
                onSet={actions.setCell}
                readPosition={(id) => store.readPosition(id)}
                onEditing={list.setEditedId}
                onConflict={onConflict}
                onComments={onComments}
                onHistory={(id) => setOpen({ kind: "history", id })}
                onRemove={onRemove}
                onCellFocus={onCellFocus}
                onRange={setRange}
                {...cellHandlers({ actions, positions: lines.positions, fields, columns, settings, onTable })}
                onAdd={isFiltered ? null : () => setAdding(true)}
                onDeletedWhileEditing={review.onDeletedWhileEditing}
                onClosing={review.onClosing}
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
          <Suggestions columns={columns} positions={settled} />
        </main>
        {open && (
          <PlanDialogs
            {...{ store, snapshot, actions, canEdit, author, mentionable, commands, versions, onComments }}
            dialog={open}
            isScenario={place !== null}
            hasAttribution={session.user !== null}
            me={name}
            onSearch={(search) => listActions.changeFilter({ search })}
            onImport={tableImport.run}
            onRestorePositions={review.onRestorePositions}
            onClose={close}
          />
        )}
        {dialog && (
          <ListDialogs
            {...{ dialog, store, snapshot, actions, canEdit, sizes }}
            hidden={view.hidden}
            onShowColumn={listActions.showColumn}
            onOpen={setDialog}
            onClose={closeDialog}
          />
        )}
        {tableImport.running && <ImportProgress running={tableImport.running} onStop={tableImport.stop} />}
        {management.dialog}
        {scenarios.dialog}
        {versions.dialog}
        <PrintView
          {...{ positions, settings: place ? { ...settings, name: title } : settings, isArchived, sync, columns, fields, filter, sort }}
          settingConflicts={snapshot.settingConflicts}
          placeConflicts={placesInConflict.length}
        />
        <Toasts toasts={toasts} onDismiss={dismissToast} />
      </div>
    </PlanContexts>
  )
}
