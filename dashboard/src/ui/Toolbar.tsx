import { Download, FileUp, History, ListFilter, PencilLine, Plus, Redo2, Search, Trash2, Undo2, X } from "lucide-react"
import { type ReactNode, useId, useLayoutEffect, useMemo, useRef, useState } from "react"
import { columnCount, countCells, fieldsOf, positionsIn, type Rect, rowCount } from "../grid/range"
import { type Field, fieldLabel, type GroupColumnKey, isAmountField, keyOf } from "../plan/fields"
import { formatSum, unitLabel } from "../plan/format"
import { describeUnknownBudgets, distinctGroups, type Filter, type Group, selectedGroups, sumBudgets } from "../plan/query"
import type { Position, Settings } from "../plan/schema"
import type { UndoState } from "../sync/undo-stack"
import { useColumns } from "./columns-context"
import { ExportItems, Formats, type OnExport, SELECTED_POSITIONS } from "./ExportItems"
import { Menu } from "./Menu"

/** Id of the search field. */
export const SEARCH_ID = "search-positions"

interface Props {
  all: readonly Position[]
  /** The positions that the filters list. They may be those of a moment ago. */
  settled: readonly Position[]
  shown: readonly Position[]
  /** The positions of the grid, which `range` counts. */
  rows: readonly Position[]
  /** The columns that the list shows. */
  fields: readonly Field[]
  /** Controls for groups and saved views. */
  viewControls: ReactNode
  selected: ReadonlySet<string>
  /** The selected cells; `null` if there is no more than one. */
  range: Rect | null
  history: UndoState
  settings: Settings
  filter: Filter
  canEdit: boolean
  onFilter: (filter: Partial<Filter>) => void
  /** `value`: the folded name of a group; `null` shows all. */
  onFilterGroup: (field: GroupColumnKey, value: string | null) => void
  onAdd: () => void
  onImport: () => void
  onExport: OnExport
  onHistory: () => void
  onUndo: () => void
  onRedo: () => void
  onRemove: (ids: string[]) => void
  onBulkEdit: () => void
  onDeselect: () => void
}

/** Actions for the list, or for the selected rows. */
export function Toolbar(props: Props) {
  const { all, settled, shown, rows, selected, range, history, settings, filter, canEdit } = props
  const columns = useColumns()
  const groups = useMemo(
    () =>
      columns.groupFields.map((field) => ({
        key: keyOf(field) as GroupColumnKey,
        label: fieldLabel(field),
        values: distinctGroups(settled, field),
      })),
    [settled, columns],
  )
  const isFiltered = shown.length !== all.length
  // On phones, filters and views would take half of the screen.
  const [areFiltersOpen, setFiltersOpen] = useState(false)
  const filtersId = useId()
  const filterCount = selectedGroups(filter.groups).length
  const chosen = selected.size > 0 ? all.filter((position) => selected.has(position.id)) : []
  const toolbar = useRef<HTMLDivElement>(null)
  // The head of the list sticks below the toolbar, whose height depends on its controls.
  useLayoutEffect(() => {
    const element = toolbar.current
    if (!element) return
    const observer = new ResizeObserver(() => element.parentElement?.style.setProperty("--toolbar", `${element.offsetHeight}px`))
    observer.observe(element)
    return () => observer.disconnect()
  }, [])
  return (
    <div className="toolbar" role="toolbar" aria-label="Positions" ref={toolbar}>
      <label className="search">
        <Search aria-hidden />
        <span className="hidden">Search positions</span>
        <input
          id={SEARCH_ID}
          type="search"
          placeholder="Search"
          aria-keyshortcuts="/"
          value={filter.search}
          onChange={(event) => props.onFilter({ search: event.target.value })}
        />
      </label>
      <button
        type="button"
        className={filterCount > 0 ? "icon filters-toggle active" : "icon filters-toggle"}
        aria-expanded={areFiltersOpen}
        aria-controls={filtersId}
        aria-label={filterCount > 0 ? `Filters and views, ${filterCount} active` : "Filters and views"}
        onClick={() => setFiltersOpen(!areFiltersOpen)}
      >
        <ListFilter aria-hidden />
      </button>
      <div id={filtersId} className={areFiltersOpen ? "filters open" : "filters"}>
        {groups.map(
          ({ key, label, values }) =>
            // A filter without values, such as of a status that no position has, takes room for nothing.
            (values.length > 0 || filter.groups[key] !== undefined) && (
              <GroupFilter
                key={key}
                label={label}
                values={values}
                value={filter.groups[key] ?? null}
                onChange={(value) => props.onFilterGroup(key, value)}
              />
            ),
        )}
        {props.viewControls}
      </div>
      <p className="found" role="status">
        {isFiltered && (
          <>
            {shown.length.toLocaleString()} of {all.length.toLocaleString()}, {formatSum(sumBudgets(shown))}{" "}
            {unitLabel(settings.currency, settings.unit)}
            {describeUnknownBudgets(shown) && `, ${describeUnknownBudgets(shown)}`}
          </>
        )}
      </p>
      {range && chosen.length === 0 && (
        <RangeSummary rows={positionsIn(rows, range)} range={range} fields={props.fields} settings={settings} />
      )}
      <span className="toolbar-end">
        {canEdit && (
          <span className="undo-redo">
            <button
              type="button"
              className="icon"
              disabled={history.undo === null}
              aria-label="Undo the last action"
              aria-keyshortcuts="Control+Z"
              title={history.undo === null ? "Nothing to undo" : `Undo ${history.undo} (Ctrl+Z)`}
              onClick={props.onUndo}
            >
              <Undo2 aria-hidden />
            </button>
            <button
              type="button"
              className="icon"
              disabled={history.redo === null}
              aria-label="Redo the last action"
              aria-keyshortcuts="Control+Shift+Z"
              title={history.redo === null ? "Nothing to redo" : `Redo ${history.redo} (Ctrl+Shift+Z)`}
              onClick={props.onRedo}
            >
              <Redo2 aria-hidden />
            </button>
          </span>
        )}
        {chosen.length > 0 ? (
          <span className="chosen">
            <span role="status">
              {chosen.length.toLocaleString()} selected, {formatSum(sumBudgets(chosen))} {unitLabel(settings.currency, settings.unit)}
              {describeUnknownBudgets(chosen) && `, ${describeUnknownBudgets(chosen)}`}
            </span>
            {canEdit && (
              <button type="button" onClick={props.onBulkEdit}>
                <PencilLine aria-hidden /> <span className="tool-label">Edit</span>
                <span className="hidden"> the selected positions</span>
              </button>
            )}
            <Menu
              label="Export the selected positions"
              button={
                <>
                  <Download aria-hidden /> <span className="tool-label">Export</span>
                </>
              }
            >
              {(close) => (
                <ul className="items">
                  <Formats
                    label="the selected positions"
                    rows={chosen}
                    scope={SELECTED_POSITIONS}
                    onExport={(...exported) => close(() => props.onExport(...exported))}
                  />
                </ul>
              )}
            </Menu>
            {canEdit && (
              <button type="button" className="danger" onClick={() => props.onRemove([...selected])}>
                <Trash2 aria-hidden /> <span className="tool-label">Delete</span>
                <span className="hidden"> the selected positions</span>
              </button>
            )}
            <button type="button" className="icon" aria-label="Clear selection" onClick={props.onDeselect}>
              <X aria-hidden />
            </button>
          </span>
        ) : (
          <span className="tools">
            <button type="button" onClick={props.onHistory}>
              <History aria-hidden /> <span className="tool-label">History</span>
            </button>
            <Menu
              label="Import or export"
              button={
                <>
                  <FileUp aria-hidden /> <span className="tool-label">Table</span>
                </>
              }
            >
              {(close) => (
                <ul className="items">
                  {canEdit && (
                    <li>
                      <button type="button" onClick={() => close(() => props.onImport())}>
                        <FileUp aria-hidden /> Import a table…
                      </button>
                    </li>
                  )}
                  <ExportItems shown={shown} all={all} onExport={(...exported) => close(() => props.onExport(...exported))} />
                </ul>
              )}
            </Menu>
            {canEdit && (
              <button type="button" className="primary" onClick={props.onAdd}>
                <Plus aria-hidden /> Add position
              </button>
            )}
          </span>
        )}
      </span>
    </div>
  )
}

/** Number of the selected cells, and their sum. */
function RangeSummary({ rows, range, fields, settings }: Pick<Props, "rows" | "fields" | "settings"> & { range: Rect }) {
  const hasAmounts = fieldsOf(range, fields).some(isAmountField)
  const unknown = describeUnknownBudgets(rows)
  return (
    <span className="range-summary">
      {countCells(rowCount(range) * columnCount(range))}
      {hasAmounts && `, ${formatSum(sumBudgets(rows))} ${unitLabel(settings.currency, settings.unit)}${unknown && `, ${unknown}`}`}
    </span>
  )
}

interface GroupFilterProps {
  label: string
  values: Group[]
  /** Key of the selected group. */
  value: string | null
  onChange: (value: string | null) => void
}

function GroupFilter({ label, values, value, onChange }: GroupFilterProps) {
  return (
    <select
      aria-label={label}
      className={value === null ? "choice-all" : ""}
      value={value ?? ""}
      onChange={(event) => onChange(event.target.value || null)}
    >
      <option value="">{label}: all</option>
      {values.map(({ key, name }) => (
        <option key={key} value={key}>
          {name}
        </option>
      ))}
    </select>
  )
}
