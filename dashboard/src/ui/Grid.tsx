/** Grid of positions with keyboard navigation. Only visible rows are in the DOM, so that 5,000 rows are as fast as 50; the page scrolls. */

import type { UrlHeads } from "@automerge/automerge-repo/slim"
import { defaultRangeExtractor, useWindowVirtualizer } from "@tanstack/react-virtual"
import { ArrowDown, ArrowUp } from "lucide-react"
import { type ClipboardEvent, type KeyboardEvent, type SyntheticEvent, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react"
import type { PositionAtHeads } from "../plan/edit"
import { FIELDS, type FieldKey, fieldLabel, isAmountField } from "../plan/fields"
import { toEditText, unitLabel } from "../plan/format"
import { escapeFormulas, unescapeFormulas } from "../plan/formula-escaping"
import { parseInput } from "../plan/input"
import type { Sort, SortKey } from "../plan/query"
import { type FieldValue, isEqualField, type Position, type Settings, shownValue } from "../plan/schema"
import type { Highlight } from "../sync/plan-store"
import type { CellAddress, Person } from "../sync/presence"
import { useCurrentMinute, useMediaQuery } from "./hooks"
import { type CellEdit, COLUMNS, type Column, FIRST_FIELD, fieldClasses, isFieldColumn, Row, type RowActions } from "./Row"

const ROW_HEIGHT = 44
const TWO_LINE_ROW_HEIGHT = 74
/** Below this width a row has two lines. */
const NARROW_SCREEN = "(max-width: 46rem)"
const ROWS_PER_PAGE = 12

interface Props {
  positions: readonly Position[]
  /** Heads of the document for `positions`. */
  heads: UrlHeads
  settings: Settings
  people: readonly Person[]
  highlights: ReadonlyMap<string, Highlight>
  selected: ReadonlySet<string>
  sort: Sort | null
  canEdit: boolean
  onSelected: (selected: ReadonlySet<string>) => void
  onSort: (sort: Sort | null) => void
  /** `base`: the position when the cell was opened, if somebody else has set the field or deleted the position since. */
  onSet: (id: string, field: FieldKey, value: FieldValue, base: PositionAtHeads | null) => void
  /** The current version of a position, which may not be rendered yet; `null` if it was deleted. */
  readPosition: (id: string) => PositionAtHeads | null
  /** The position being edited. It stays in the list even if the filter excludes it. */
  onEditing: (id: string | null) => void
  onConflict: (id: string, field: FieldKey) => void
  onHistory: (id: string) => void
  onRemove: (ids: string[]) => void
  onCellFocus: (cell: CellAddress | null) => void
  onPasteRows: (text: string) => void
  /** Somebody deleted the position while it was edited. `draft`: the typed text; `null` if there is none. */
  onDeletedWhileEditing: (base: PositionAtHeads, field: FieldKey, draft: string | null) => void
}

interface CellPosition {
  id: string
  column: Column
}

export function Grid(props: Props) {
  const { positions, settings, people, highlights, selected, sort, canEdit } = props
  const columns = useMemo(() => COLUMNS.filter((column) => canEdit || column !== "select"), [canEdit])
  const [active, setActive] = useState<CellPosition | null>(null)
  const [editing, setEditing] = useState<CellEdit | null>(null)
  const draft = useRef<string | null>(null)
  /** The edited row when the cell was opened. */
  const opened = useRef<PositionAtHeads | null>(null)
  /** The edited row as last rendered. */
  const shown = useRef<PositionAtHeads | null>(null)
  const anchor = useRef<string | null>(null)
  const wantsFocus = useRef(false)
  const body = useRef<HTMLDivElement>(null)
  const head = useRef<HTMLDivElement>(null)
  const [margin, setMargin] = useState(0)
  const [padding, setPadding] = useState(0)
  const isNarrow = useMediaQuery(NARROW_SCREEN)
  const now = useCurrentMinute()

  const indexById = useMemo(() => new Map(positions.map((position, at) => [position.id, at])), [positions])
  const activeIndex = active ? indexById.get(active.id) : undefined
  const size = isNarrow ? TWO_LINE_ROW_HEIGHT : ROW_HEIGHT

  const virtual = useWindowVirtualizer({
    count: positions.length,
    estimateSize: () => size,
    overscan: 2,
    scrollMargin: margin,
    // Rows below the sticky toolbar and header are hidden.
    scrollPaddingStart: padding,
    getItemKey: (at) => positions[at]?.id ?? at,
    // The active row stays rendered: it has the focus and the editor.
    rangeExtractor: (range) => {
      const shown = defaultRangeExtractor(range)
      return activeIndex === undefined || shown.includes(activeIndex) ? shown : [...shown, activeIndex].sort((one, other) => one - other)
    },
  })
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new row size requires new measurements
  useEffect(() => virtual.measure(), [size])

  useLayoutEffect(() => {
    const measure = () => {
      const top = body.current ? body.current.getBoundingClientRect().top + window.scrollY : 0
      setMargin((before) => (Math.abs(before - top) < 1 ? before : top))
      if (head.current) setPadding(head.current.offsetHeight + (Number.parseFloat(getComputedStyle(head.current).top) || 0))
    }
    measure()
    const observer = new ResizeObserver(measure)
    observer.observe(document.body)
    return () => observer.disconnect()
  }, [])

  useLayoutEffect(() => {
    if (!wantsFocus.current || !active) return
    wantsFocus.current = false
    body.current?.querySelector<HTMLElement>(`[data-cell="${CSS.escape(active.id)}/${active.column}"]`)?.focus({ preventScroll: true })
  })

  const { heads, onDeletedWhileEditing, onCellFocus, onEditing } = props
  // Without a grid, no cell is occupied.
  useEffect(() => () => onCellFocus(null), [onCellFocus])
  // When somebody else deletes the active row, the focus moves to the row in its place.
  const last = useRef(0)
  useEffect(() => {
    if (activeIndex !== undefined) last.current = activeIndex
    else if (active && !editing) {
      const next = positions[Math.min(last.current, positions.length - 1)]
      wantsFocus.current = next !== undefined && document.activeElement === document.body
      setActive(next ? { id: next.id, column: active.column } : null)
      onCellFocus(null)
    }
  }, [active, activeIndex, editing, positions, onCellFocus])

  const editorsByRow = useMemo(() => {
    const found = new Map<string, Person[]>()
    for (const person of people) {
      if (person.cell) found.set(person.cell.position, [...(found.get(person.cell.position) ?? []), person])
    }
    return found
  }, [people])

  const moveTo = (at: number, column: Column) => {
    const position = positions[Math.max(0, Math.min(positions.length - 1, at))]
    if (!position) return
    wantsFocus.current = true
    setActive({ id: position.id, column })
    virtual.scrollToIndex(indexById.get(position.id) ?? 0, { align: "auto" })
  }
  /** Moves the focus to the next remaining row before rows are deleted. */
  const moveFrom = (gone: ReadonlySet<string>) => {
    if (!active || activeIndex === undefined || !gone.has(active.id)) return
    const left = (position: Position) => !gone.has(position.id)
    const next = positions.slice(activeIndex).find(left) ?? positions.slice(0, activeIndex).findLast(left)
    wantsFocus.current = next !== undefined
    setActive(next ? { id: next.id, column: active.column } : null)
  }
  const startEdit = (id: string, column: FieldKey, text: string | null) => {
    const position = positions[indexById.get(id) ?? -1]
    if (!canEdit || !position || position.invalidEntry !== undefined) return
    opened.current = { position, heads: props.heads }
    draft.current = text
    setActive({ id, column })
    setEditing({ column, initialText: text })
    props.onEditing(id)
    props.onCellFocus({ position: id, field: column })
  }
  const endEdit = () => {
    props.onEditing(null)
    opened.current = null
    draft.current = null
    setEditing(null)
  }

  // A stable object, so that memoized rows do not render again.
  const latest = useRef<RowActions>(null as unknown as RowActions)
  latest.current = {
    select: (id, isRange) => {
      const next = new Set(selected)
      const [from, to] = [indexById.get(anchor.current ?? ""), indexById.get(id)]
      if (isRange && from !== undefined && to !== undefined) {
        for (let at = Math.min(from, to); at <= Math.max(from, to); at += 1) next.add((positions[at] as Position).id)
      } else if (!next.delete(id)) next.add(id)
      anchor.current = id
      props.onSelected(next)
    },
    enter: (id, column) => {
      if (active?.id !== id || active.column !== column) setActive({ id, column })
      props.onCellFocus(isFieldColumn(column) ? { position: id, field: column } : null)
    },
    edit: (id, column) => startEdit(id, column, null),
    draft: (text) => {
      draft.current = text
    },
    read: (field, text) => parseInput(field, text, settings),
    commit: (id, field, value, onward) => {
      const [before, now] = [opened.current, props.readPosition(id)]
      const isSame = before && now && isEqualField(before.position, now.position, field)
      if (!isSame) props.onSet(id, field, value, before)
      else if (shownValue(now.position, field) !== value) props.onSet(id, field, value, null)
      latest.current.leave(id, field, onward)
    },
    leave: (id, field, onward) => {
      endEdit()
      const [at, column] = [indexById.get(id) ?? 0, columns.indexOf(field)]
      if (onward === "down") moveTo(at + 1 < positions.length ? at + 1 : at, field)
      else if (onward !== "stay") step(at, column, onward === "next" ? 1 : -1)
    },
    cancel: (id, field) => {
      endEdit()
      wantsFocus.current = true
      setActive({ id, column: field })
    },
    conflict: (id, field) => props.onConflict(id, field),
    history: (id) => props.onHistory(id),
    remove: (id) => {
      moveFrom(new Set([id]))
      props.onRemove([id])
    },
  }
  const step = (at: number, column: number, by: 1 | -1) => {
    const next = columns[column + by]
    if (next && isFieldColumn(next)) return startEdit((positions[at] as Position).id, next, null)
    moveTo(at, columns[column] as Column)
  }
  const actions = useMemo<RowActions>(
    () => ({
      select: (id, isRange) => latest.current.select(id, isRange),
      enter: (id, column) => latest.current.enter(id, column),
      edit: (id, column) => latest.current.edit(id, column),
      draft: (text) => latest.current.draft(text),
      read: (field, text) => latest.current.read(field, text),
      commit: (id, field, value, onward) => latest.current.commit(id, field, value, onward),
      leave: (id, field, onward) => latest.current.leave(id, field, onward),
      cancel: (id, field) => latest.current.cancel(id, field),
      conflict: (id, field) => latest.current.conflict(id, field),
      history: (id) => latest.current.history(id),
      remove: (id) => latest.current.remove(id),
    }),
    [],
  )

  // When somebody else deletes the edited row, the typed text is kept as a draft.
  useEffect(() => {
    const [before, text] = [opened.current, draft.current]
    if (!editing || !before) return
    const { id } = before.position
    const now = positions[indexById.get(id) ?? -1]
    if (now) {
      shown.current = { position: now, heads }
      return
    }
    opened.current = null
    draft.current = null
    setEditing(null)
    setActive(null)
    onEditing(null)
    onCellFocus(null)
    onDeletedWhileEditing(shown.current?.position.id === id ? shown.current : before, editing.column, text)
  }, [positions, indexById, heads, editing, onDeletedWhileEditing, onCellFocus, onEditing])

  const onKeyDown = (event: KeyboardEvent) => {
    if (!isInRow(event) || !active || activeIndex === undefined || event.nativeEvent.isComposing) return
    const at = columns.indexOf(active.column)
    const row = positions[activeIndex] as Position
    const move = (rows: number, cells: number) => {
      event.preventDefault()
      moveTo(activeIndex + rows, columns[Math.max(0, Math.min(columns.length - 1, at + cells))] as Column)
    }
    const isPlain = !event.ctrlKey && !event.metaKey && !event.altKey
    switch (event.key) {
      case "ArrowDown":
        return move(1, 0)
      case "ArrowUp":
        return move(-1, 0)
      case "ArrowRight":
        return move(0, 1)
      case "ArrowLeft":
        return move(0, -1)
      case "PageDown":
        return move(ROWS_PER_PAGE, 0)
      case "PageUp":
        return move(-ROWS_PER_PAGE, 0)
      case "Home":
        return event.ctrlKey ? move(-positions.length, -columns.length) : move(0, -columns.length)
      case "End":
        return event.ctrlKey ? move(positions.length, columns.length) : move(0, columns.length)
      case "Enter":
      case "F2":
        if (event.target instanceof HTMLButtonElement) return
        if (isFieldColumn(active.column)) {
          event.preventDefault()
          startEdit(row.id, active.column, null)
        }
        return
      case "Delete":
        if (canEdit) {
          event.preventDefault()
          const gone = selected.size > 0 ? selected : new Set([row.id])
          moveFrom(gone)
          props.onRemove([...gone])
        }
        return
      case " ":
        if (canEdit && isPlain && isFieldColumn(active.column) && !(event.target instanceof HTMLButtonElement)) {
          event.preventDefault()
          actions.select(row.id, event.shiftKey)
        }
        return
      default:
        if (isPlain && canEdit && isFieldColumn(active.column) && [...event.key].length === 1) {
          event.preventDefault()
          startEdit(row.id, active.column, event.key)
        }
    }
  }
  const onPaste = (event: ClipboardEvent) => {
    if (!canEdit || editing || !isInRow(event)) return
    const text = event.clipboardData.getData("text/plain")
    event.preventDefault()
    if (/[\t\n\r]/.test(text.trimEnd())) props.onPasteRows(text)
    else if (active && isFieldColumn(active.column) && text.trim()) startEdit(active.id, active.column, unescapeFormulas(text.trim()))
  }
  const onCopy = (event: ClipboardEvent) => {
    if (editing || String(window.getSelection()) !== "") return
    const rows = positions.filter((position) => selected.has(position.id))
    const cell = (value: FieldValue) =>
      typeof value === "number" ? toEditText(value) : escapeFormulas(String(value ?? "").replace(/[\t\r\n]+/g, " "))
    const row = activeIndex === undefined ? undefined : positions[activeIndex]
    const text =
      rows.length > 0
        ? rows.map((position) => FIELDS.map((field) => cell(shownValue(position, field))).join("\t")).join("\n")
        : row && active && isFieldColumn(active.column)
          ? cell(shownValue(row, active.column))
          : ""
    if (text === "") return
    event.preventDefault()
    event.clipboardData.setData("text/plain", text)
  }

  const areAllSelected = positions.length > 0 && positions.every((position) => selected.has(position.id))
  return (
    <div
      role="grid"
      aria-label="Positions"
      aria-rowcount={positions.length + 1}
      aria-multiselectable={canEdit || undefined}
      className={canEdit ? "grid" : "grid read-only"}
      onKeyDown={onKeyDown}
      onPaste={onPaste}
      onCopy={onCopy}
      onBlur={(event) => {
        if (!event.currentTarget.contains(event.relatedTarget)) props.onCellFocus(null)
      }}
    >
      <div role="row" aria-rowindex={1} className="grid-head" ref={head}>
        {canEdit && (
          <span role="columnheader" className="cell cell-select">
            <input
              type="checkbox"
              aria-label="Select all positions in the list"
              checked={areAllSelected}
              ref={(box) => {
                if (box) box.indeterminate = !areAllSelected && selected.size > 0
              }}
              onChange={() => props.onSelected(areAllSelected ? new Set() : new Set(positions.map((position) => position.id)))}
            />
          </span>
        )}
        {[...FIELDS, "updatedAt" as const].map((key) => (
          <ColumnHeader
            key={key}
            column={key}
            sort={sort}
            onSort={props.onSort}
            suffix={key !== "updatedAt" && isAmountField(key) ? unitLabel(settings.currency, settings.unit) : ""}
          />
        ))}
        <span role="columnheader" className="cell cell-actions">
          <span className="hidden">Actions</span>
        </span>
      </div>
      <div role="rowgroup" ref={body} className="grid-body" style={{ blockSize: `${virtual.getTotalSize()}px` }}>
        {virtual.getVirtualItems().map(({ index, start }) => {
          const position = positions[index]
          if (!position) return null
          const isActive = active?.id === position.id
          return (
            <Row
              key={position.id}
              position={position}
              rowIndex={index + 2}
              offset={start - margin}
              size={size}
              isSelected={selected.has(position.id)}
              active={isActive ? active.column : activeIndex === undefined && index === 0 ? FIRST_FIELD : null}
              editing={isActive ? editing : null}
              highlight={highlights.get(position.id) ?? null}
              editors={editorsByRow.get(position.id) ?? null}
              canEdit={canEdit}
              now={now}
              actions={actions}
            />
          )
        })}
      </div>
    </div>
  )
}

const columnLabel = (column: SortKey): string => (column === "updatedAt" ? "Last change" : fieldLabel(column))

/** Grid keys apply to rows; controls in the header have their own. */
const isInRow = ({ target }: SyntheticEvent): boolean => target instanceof Element && target.closest("[data-row]") !== null

interface ColumnHeaderProps {
  column: SortKey & (FieldKey | "updatedAt")
  suffix: string
  sort: Sort | null
  onSort: (sort: Sort | null) => void
}

/** Column header. Clicks cycle through ascending, descending and unsorted. */
function ColumnHeader({ column, suffix, sort, onSort }: ColumnHeaderProps) {
  const isSorted = sort?.key === column
  const isAscendingFirst = column !== "updatedAt" && !isAmountField(column)
  const next = (): Sort | null => {
    if (!isSorted) return { key: column, ascending: isAscendingFirst }
    return sort.ascending === isAscendingFirst ? { key: column, ascending: !isAscendingFirst } : null
  }
  const Arrow = sort?.ascending ? ArrowUp : ArrowDown
  return (
    <span
      role="columnheader"
      className={`cell cell-${column}${column === "updatedAt" ? "" : fieldClasses(column)}`}
      aria-sort={isSorted ? (sort.ascending ? "ascending" : "descending") : "none"}
    >
      <button type="button" className="sort" onClick={() => onSort(next())}>
        <span>{columnLabel(column)}</span>
        {suffix && <span className="unit">{suffix}</span>}
        {isSorted && <Arrow aria-hidden />}
      </button>
    </span>
  )
}
