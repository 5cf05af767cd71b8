/**
 * Grid of positions with the keyboard, ranges and clipboard of a spreadsheet, after the WAI-ARIA grid pattern.
 *
 * Only visible rows are in the DOM, so that 5,000 rows are as fast as 50; the page scrolls.
 */

import type { UrlHeads } from "@automerge/automerge-repo/slim"
import { defaultRangeExtractor, useWindowVirtualizer } from "@tanstack/react-virtual"
import { Plus } from "lucide-react"
import { type ClipboardEvent, type KeyboardEvent, type SyntheticEvent, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react"
import { valuesIn } from "../grid/cell-changes"
import { type ClipboardTable, readClipboard, toClipboard } from "../grid/clipboard"
import { type CellRange, type CellRef, columnCount, describeRange, isSingleCell, type Rect, rowCount, toRect } from "../grid/range"
import type { PositionAtHeads } from "../plan/edit"
import { FIELDS, type FieldKey, isAmountField } from "../plan/fields"
import { unitLabel } from "../plan/format"
import { parseInput } from "../plan/input"
import type { Sort } from "../plan/query"
import { type FieldValue, isEqualField, type Position, type Settings, shownValue } from "../plan/schema"
import type { Highlight } from "../sync/plan-store"
import type { CellAddress, Person } from "../sync/presence"
import { ColumnHeader } from "./ColumnHeader"
import { useCurrentMinute, useMediaQuery } from "./hooks"
import { type CellEdit, COLUMNS, type Column, FIRST_FIELD, isFieldColumn, Row, type RowActions, type RowRange } from "./Row"
import { useRangeDrag } from "./use-range-drag"

const ROW_HEIGHT = 44
const NARROW_ROW_HEIGHT = 106
/** Below this width a row has three lines. */
const NARROW_SCREEN = "(max-width: 46rem)"
const ROWS_PER_PAGE = 12
/** Id of the row below the last position, where positions are added. */
const NEW_ROW = "new row"
const LAST_FIELD = FIELDS.at(-1) as FieldKey

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
  /** The selected cells; `null` if there is no more than one. */
  onRange: (rect: Rect | null) => void
  /** `cut`: the cells were copied before. */
  onClear: (rect: Rect, cut: boolean) => void
  onFill: (source: Rect, target: Rect) => void
  /** Pastes onto cells or below the last row. `onAdded` receives the ids of added positions. */
  onPaste: (target: Rect | "below", table: ClipboardTable, onAdded: (ids: readonly string[]) => void) => void
  /** Adds a position; `null` if the list has no place for one. */
  onAdd: (() => void) | null
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
  /** The selected cells, if they are not just the active one. */
  const [range, setRange] = useState<CellRange | null>(null)
  /** Rows that are filled when the mouse button is released. */
  const [fillTarget, setFillTarget] = useState<Rect | null>(null)
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
  const size = isNarrow ? NARROW_ROW_HEIGHT : ROW_HEIGHT
  const hasNewRow = canEdit && props.onAdd !== null
  const isOnNewRow = hasNewRow && active?.id === NEW_ROW
  const rect = useMemo((): Rect | null => {
    const ranged = range && toRect(range, indexById)
    if (ranged) return ranged
    if (!active || !isFieldColumn(active.column)) return null
    const cell = { id: active.id, field: active.column }
    return toRect({ anchor: cell, head: cell }, indexById)
  }, [range, active, indexById])
  const isMultiple = rect !== null && !isSingleCell(rect)

  const virtual = useWindowVirtualizer({
    count: positions.length + (hasNewRow ? 1 : 0),
    estimateSize: () => size,
    overscan: 2,
    scrollMargin: margin,
    // Rows below the sticky toolbar and header are hidden.
    scrollPaddingStart: padding,
    getItemKey: (at) => positions[at]?.id ?? NEW_ROW,
    // The active row stays rendered: it has the focus and the editor.
    rangeExtractor: (range) => {
      const shown = defaultRangeExtractor(range)
      const kept = isOnNewRow ? positions.length : activeIndex
      return kept === undefined || shown.includes(kept) ? shown : [...shown, kept].sort((one, other) => one - other)
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

  const scrollTo = useRef<string | null>(null)
  useLayoutEffect(() => {
    const at = indexById.get(scrollTo.current ?? "")
    if (at === undefined) return
    scrollTo.current = null
    virtual.scrollToIndex(at, { align: "auto" })
  })
  useLayoutEffect(() => {
    if (!wantsFocus.current || !active) return
    wantsFocus.current = false
    body.current
      ?.querySelector<HTMLElement>(`[data-cell="${CSS.escape(active.id)}/${active.id === NEW_ROW ? "select" : active.column}"]`)
      ?.focus({ preventScroll: true })
  })

  const { heads, onDeletedWhileEditing, onCellFocus, onEditing } = props
  // Without a grid, no cell is occupied.
  useEffect(() => () => onCellFocus(null), [onCellFocus])
  // When somebody else deletes the active row, the focus moves to the row in its place.
  const last = useRef(0)
  useEffect(() => {
    if (activeIndex !== undefined) last.current = activeIndex
    else if (active && !isOnNewRow && !editing) {
      const next = positions[Math.min(last.current, positions.length - 1)]
      wantsFocus.current = next !== undefined && document.activeElement === document.body
      setActive(next ? { id: next.id, column: active.column } : null)
      onCellFocus(null)
    }
  }, [active, activeIndex, isOnNewRow, editing, positions, onCellFocus])

  const editorsByRow = useMemo(() => {
    const found = new Map<string, Person[]>()
    for (const person of people) {
      if (person.cell) found.set(person.cell.position, [...(found.get(person.cell.position) ?? []), person])
    }
    return found
  }, [people])

  // The rest of the page shows the selected cells.
  const { onRange } = props
  const shownRect = isMultiple ? rect : null
  useEffect(() => onRange(shownRect), [shownRect, onRange])
  useEffect(() => () => onRange(null), [onRange])

  const moveTo = (at: number, column: Column) => {
    setRange(null)
    if (hasNewRow && at === positions.length && !isOnNewRow) {
      wantsFocus.current = true
      setActive({ id: NEW_ROW, column })
      virtual.scrollToIndex(positions.length, { align: "auto" })
      return
    }
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
    setRange(null)
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

  const latestPositions = useRef(positions)
  latestPositions.current = positions
  const startDrag = useRangeDrag({ body, rowHeight: size, rowCount: positions.length, top: padding })
  const select = (anchor: CellRef, head: CellRef) => setRange({ anchor, head })
  /** Fills cells and selects them together with their source. */
  const fill = (source: Rect, target: Rect) => {
    props.onFill(source, target)
    const [top, bottom] = [positions[Math.min(source.top, target.top)], positions[Math.max(source.bottom, target.bottom)]]
    const [left, right] = [FIELDS[source.left], FIELDS[source.right]]
    if (top && bottom && left && right) select({ id: top.id, field: left }, { id: bottom.id, field: right })
  }
  /** Ctrl+D: the first row of the selection fills the others; a single row is filled from the one above. */
  const fillDown = () => {
    if (!rect) return
    if (rowCount(rect) > 1) fill({ ...rect, bottom: rect.top }, { ...rect, top: rect.top + 1 })
    else if (rect.top > 0) props.onFill({ ...rect, top: rect.top - 1, bottom: rect.top - 1 }, rect)
  }
  const selectColumn = (field: FieldKey, isExtended: boolean) => {
    const [top, bottom] = [positions[0], positions.at(-1)]
    if (!top || !bottom) return
    const from = isExtended && rect ? (FIELDS[rect.left] as FieldKey) : field
    if (!isExtended) {
      wantsFocus.current = true
      setActive({ id: top.id, column: field })
    }
    select({ id: top.id, field: from }, { id: bottom.id, field })
  }
  const removeSelected = () => {
    const ids =
      selected.size > 0 ? [...selected] : rect ? positions.slice(rect.top, rect.bottom + 1).map(({ id }) => id) : active ? [active.id] : []
    const gone = new Set(ids)
    setRange(null)
    moveFrom(gone)
    props.onRemove(ids)
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
      if (active?.id !== id || active.column !== column) {
        setActive({ id, column })
        setRange(null)
      }
      props.onCellFocus(isFieldColumn(column) ? { position: id, field: column } : null)
    },
    press: (id, column, event) => {
      if (event.pointerType === "touch" || event.button !== 0) return
      const isRow = column === "select"
      const [first, last] = isRow ? [FIRST_FIELD, LAST_FIELD] : [column, column]
      if (!isFieldColumn(first) || !isFieldColumn(last)) return
      const isExtended = event.shiftKey && active !== null && editing === null
      const start: CellRange =
        isExtended && isFieldColumn(active.column)
          ? { anchor: isRow ? { id: active.id, field: FIRST_FIELD } : (range?.anchor ?? cellOf(active)), head: { id, field: last } }
          : { anchor: { id, field: first }, head: { id, field: last } }
      if (isExtended) {
        // The focus stays in the active cell.
        event.preventDefault()
        setRange(start)
      } else if (isRow) {
        event.preventDefault()
        wantsFocus.current = true
        setActive({ id, column: FIRST_FIELD })
        setRange(start)
      } else setRange(null)
      startDrag({
        move: (row, over) => {
          const position = latestPositions.current[row]
          if (!position) return
          const field = isRow ? last : over !== null && isFieldColumn(over as Column) ? (over as FieldKey) : null
          setRange((before) => {
            const { anchor, head } = before ?? start
            const next = { id: position.id, field: field ?? head.field }
            if (next.id === head.id && next.field === head.field) return before
            return { anchor, head: next }
          })
        },
        end: () => undefined,
      })
    },
    pressHandle: (event) => {
      if (!rect) return
      event.preventDefault()
      event.stopPropagation()
      let target: Rect | null = null
      startDrag({
        move: (row) => {
          target =
            row > rect.bottom
              ? { ...rect, top: rect.bottom + 1, bottom: row }
              : row < rect.top
                ? { ...rect, top: row, bottom: rect.top - 1 }
                : null
          setFillTarget(target)
        },
        end: (isCancelled) => {
          setFillTarget(null)
          if (target && !isCancelled) fill(rect, target)
        },
      })
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
      if (onward === "cell") {
        wantsFocus.current = true
        setActive({ id, column: field })
      } else if (onward === "down") moveTo(at + 1 < positions.length ? at + 1 : at, field)
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
      press: (id, column, event) => latest.current.press(id, column, event),
      pressHandle: (event) => latest.current.pressHandle(event),
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

  /** The row to move to from `from`: by rows, or to the end of the list. */
  const destination = (event: KeyboardEvent, from: number, at: number): [row: number, column: number] | null => {
    const [lastRow, lastColumn] = [positions.length - 1, columns.length - 1]
    const isMod = event.ctrlKey || event.metaKey
    switch (event.key) {
      case "ArrowDown":
        return [isMod ? lastRow : from + 1, at]
      case "ArrowUp":
        return [isMod ? 0 : from - 1, at]
      case "ArrowRight":
        return [from, isMod ? lastColumn : at + 1]
      case "ArrowLeft":
        return [from, isMod ? 0 : at - 1]
      case "PageDown":
        return [Math.min(lastRow, from + ROWS_PER_PAGE), at]
      case "PageUp":
        return [from - ROWS_PER_PAGE, at]
      case "Home":
        return isMod ? [0, 0] : [from, 0]
      case "End":
        return isMod ? [lastRow, lastColumn] : [from, lastColumn]
      default:
        return null
    }
  }
  /** Moves the head of the selection, which stays within the fields. */
  const extend = (event: KeyboardEvent): boolean => {
    if (!active || !isFieldColumn(active.column)) return false
    const { anchor, head } = range ?? { anchor: cellOf(active), head: cellOf(active) }
    const to = destination(event, indexById.get(head.id) ?? 0, columns.indexOf(head.field))
    if (!to) return false
    const position = positions[Math.max(0, Math.min(positions.length - 1, to[0]))]
    const first = columns.indexOf(FIRST_FIELD)
    const field = columns[Math.max(first, Math.min(columns.indexOf(LAST_FIELD), to[1]))] as FieldKey
    if (!position) return false
    const next = { id: position.id, field }
    const isCollapsed = next.id === active.id && next.field === active.column && anchor.id === active.id && anchor.field === active.column
    setRange(isCollapsed ? null : { anchor, head: next })
    virtual.scrollToIndex(indexById.get(position.id) ?? 0, { align: "auto" })
    return true
  }
  const onNewRowKey = (event: KeyboardEvent) => {
    const column = active?.column ?? FIRST_FIELD
    const isMod = event.ctrlKey || event.metaKey
    if (event.key === "ArrowUp") moveTo(isMod ? 0 : positions.length - 1, column)
    else if (event.key === "PageUp") moveTo(positions.length - ROWS_PER_PAGE, column)
    else if (event.key === "Home" && isMod) moveTo(0, columns[0] as Column)
    else return
    event.preventDefault()
  }
  const onKeyDown = (event: KeyboardEvent) => {
    if (!isInRow(event) || !active || event.nativeEvent.isComposing) return
    if (isOnNewRow) return onNewRowKey(event)
    if (activeIndex === undefined) return
    const isMod = event.ctrlKey || event.metaKey
    const isPlain = !isMod && !event.altKey
    const isButton = event.target instanceof HTMLButtonElement
    const row = positions[activeIndex] as Position
    if (event.altKey) return
    if (event.shiftKey && extend(event)) return event.preventDefault()
    const to = destination(event, activeIndex, columns.indexOf(active.column))
    if (to && !event.shiftKey) {
      event.preventDefault()
      return moveTo(to[0], columns[Math.max(0, Math.min(columns.length - 1, to[1]))] as Column)
    }
    const key = isMod ? `Mod+${event.key.toLowerCase()}` : event.key
    switch (key) {
      case "Enter":
      case "F2":
        if (!isButton && isFieldColumn(active.column)) {
          event.preventDefault()
          startEdit(row.id, active.column, null)
        }
        return
      case "Escape":
        return setRange(null)
      case "Delete":
      case "Backspace":
        if (canEdit && rect && !isButton) {
          event.preventDefault()
          props.onClear(rect, false)
        }
        return
      case "Mod+delete":
      case "Mod+backspace":
        if (canEdit) {
          event.preventDefault()
          removeSelected()
        }
        return
      case "Mod+a": {
        const [top, bottom] = [positions[0], positions.at(-1)]
        event.preventDefault()
        if (top && bottom) select({ id: top.id, field: FIRST_FIELD }, { id: bottom.id, field: LAST_FIELD })
        return
      }
      case "Mod+d":
        if (canEdit && rect) {
          event.preventDefault()
          fillDown()
        }
        return
      case "Mod+ ":
        if (rect && event.ctrlKey) {
          const [top, bottom, left, right] = [positions[0], positions.at(-1), FIELDS[rect.left], FIELDS[rect.right]]
          event.preventDefault()
          if (top && bottom && left && right) select({ id: top.id, field: left }, { id: bottom.id, field: right })
        }
        return
      case " ":
        if (isButton || !isFieldColumn(active.column)) return
        event.preventDefault()
        if (event.shiftKey && rect) {
          const [top, bottom] = [positions[rect.top], positions[rect.bottom]]
          if (top && bottom) select({ id: top.id, field: FIRST_FIELD }, { id: bottom.id, field: LAST_FIELD })
        } else if (canEdit) checkRows()
        return
      default:
        // Commands of the page: search, and the list of keys.
        if (event.key === "/" || event.key === "?") return
        if (isPlain && canEdit && isFieldColumn(active.column) && [...event.key].length === 1) {
          event.preventDefault()
          startEdit(row.id, active.column, event.key)
        }
    }
  }
  /** Checks the rows of the selection, or unchecks them if all are checked. */
  const checkRows = () => {
    if (!rect) return
    const ids = positions.slice(rect.top, rect.bottom + 1).map(({ id }) => id)
    const next = new Set(selected)
    const areAll = ids.every((id) => next.has(id))
    for (const id of ids) {
      if (areAll) next.delete(id)
      else next.add(id)
    }
    anchor.current = ids[0] ?? null
    props.onSelected(next)
  }
  const onPaste = (event: ClipboardEvent) => {
    if (!canEdit || editing || !isInRow(event)) return
    const target = isOnNewRow ? "below" : rect
    if (!target) return
    event.preventDefault()
    const read = (type: string) => event.clipboardData.getData(type)
    const table = readClipboard({ text: read("text/plain"), html: read("text/html") })
    if (table.rows.every((row) => row.every((cell) => cell === "")) && read("text/plain") === "") return
    props.onPaste(target, table, (ids) => {
      const [top, bottom] = [ids[0], ids.at(-1)]
      if (target !== "below" || top === undefined || bottom === undefined) return
      // The rows appear with the next rendering.
      wantsFocus.current = true
      scrollTo.current = top
      setActive({ id: top, column: FIRST_FIELD })
      select({ id: top, field: FIRST_FIELD }, { id: bottom, field: LAST_FIELD })
    })
    if (target === "below") return
    const [height, width] = [table.rows.length, table.rows[0]?.length ?? 1]
    const isFilled = rowCount(target) % height === 0 && columnCount(target) % width === 0
    if (isFilled) return
    const [top, bottom] = [positions[target.top], positions[Math.min(positions.length - 1, target.top + height - 1)]]
    const [left, right] = [FIELDS[target.left], FIELDS[Math.min(FIELDS.length - 1, target.left + width - 1)]]
    if (top && bottom && left && right) select({ id: top.id, field: left }, { id: bottom.id, field: right })
  }
  /** Copies the selected cells. Checked rows are copied if no more than one cell is selected. */
  const onCopy = (event: ClipboardEvent): Rect | null => {
    if (editing || !isInRow(event) || String(window.getSelection()) !== "") return null
    const rows = isMultiple ? [] : positions.filter((position) => selected.has(position.id))
    if (rows.length === 0 && !rect) return null
    const values =
      rows.length > 0 ? rows.map((position) => FIELDS.map((field) => shownValue(position, field))) : valuesIn(positions, rect as Rect)
    const { text, html } = toClipboard(values, settings)
    event.preventDefault()
    event.clipboardData.setData("text/plain", text)
    event.clipboardData.setData("text/html", html)
    return rows.length > 0 ? null : rect
  }
  const onCut = (event: ClipboardEvent) => {
    if (!canEdit) return
    const copied = onCopy(event)
    if (copied) props.onClear(copied, true)
  }

  /** The selected cells of each row. Rows with the same cells share one object. */
  const rangeOf = useMemo(() => {
    const variants = new Map<string, RowRange>()
    const shared = (range: RowRange): RowRange => {
      const key = JSON.stringify(range)
      const known = variants.get(key)
      if (!known) variants.set(key, range)
      return known ?? range
    }
    return (index: number): RowRange | null => {
      for (const [of, isFill] of [
        [rect, false],
        [fillTarget, true],
      ] as const) {
        if (!of || index < of.top || index > of.bottom) continue
        const { left, right, top, bottom } = of
        return shared({
          left,
          right,
          isTop: index === top,
          isBottom: index === bottom,
          isMultiple: isFill || isMultiple,
          isFill,
          hasHandle: canEdit && !isFill && !isNarrow,
        })
      }
      return null
    }
  }, [rect, fillTarget, isMultiple, canEdit, isNarrow])

  const areAllSelected = positions.length > 0 && positions.every((position) => selected.has(position.id))
  const announcement = rect && isMultiple ? describeRange(positions, rect) : ""
  const isColumnSelected = (column: FieldKey) => {
    const at = FIELDS.indexOf(column)
    return rect !== null && rect.top === 0 && rect.bottom === positions.length - 1 && isMultiple && rect.left <= at && at <= rect.right
  }
  return (
    <>
      <p role="status" className="hidden">
        {announcement}
      </p>
      <div
        role="grid"
        aria-label="Positions"
        aria-rowcount={positions.length + (hasNewRow ? 2 : 1)}
        aria-multiselectable
        className={canEdit ? "grid" : "grid read-only"}
        onKeyDown={onKeyDown}
        onPaste={onPaste}
        onCopy={onCopy}
        onCut={onCut}
        onBlur={(event) => {
          if (!event.currentTarget.contains(event.relatedTarget)) props.onCellFocus(null)
        }}
      >
        <div role="row" aria-rowindex={1} className="grid-head" ref={head}>
          <span role="columnheader" className="cell cell-select">
            {canEdit ? (
              <input
                type="checkbox"
                aria-label="Select all positions in the list"
                checked={areAllSelected}
                ref={(box) => {
                  if (box) box.indeterminate = !areAllSelected && selected.size > 0
                }}
                onChange={() => props.onSelected(areAllSelected ? new Set() : new Set(positions.map((position) => position.id)))}
              />
            ) : (
              <span className="hidden">Row</span>
            )}
          </span>
          {[...FIELDS, "updatedAt" as const].map((key) => (
            <ColumnHeader
              key={key}
              column={key}
              sort={sort}
              isSelected={key !== "updatedAt" && isColumnSelected(key)}
              onSort={props.onSort}
              onSelect={selectColumn}
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
            if (!position)
              return (
                <NewRow
                  key={NEW_ROW}
                  rowIndex={index + 2}
                  offset={start - margin}
                  size={size}
                  isActive={isOnNewRow}
                  onFocus={() => {
                    if (!isOnNewRow) actions.enter(NEW_ROW, "select")
                  }}
                  onAdd={() => props.onAdd?.()}
                />
              )
            const isActive = active?.id === position.id
            return (
              <Row
                key={position.id}
                position={position}
                rowIndex={index + 2}
                offset={start - margin}
                size={size}
                isSelected={selected.has(position.id)}
                range={rangeOf(index)}
                active={isActive ? active.column : activeIndex === undefined && !isOnNewRow && index === 0 ? FIRST_FIELD : null}
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
    </>
  )
}

const cellOf = ({ id, column }: CellPosition): CellRef => ({ id, field: isFieldColumn(column) ? column : FIRST_FIELD })

/** Grid keys apply to rows; controls in the header have their own. */
const isInRow = ({ target }: SyntheticEvent): boolean => target instanceof Element && target.closest("[data-row]") !== null

interface NewRowProps {
  rowIndex: number
  offset: number
  size: number
  isActive: boolean
  onFocus: () => void
  onAdd: () => void
}

/** The row below the last position. A table that is pasted here becomes new positions. */
function NewRow({ rowIndex, offset, size, isActive, onFocus, onAdd }: NewRowProps) {
  return (
    <div
      role="row"
      aria-rowindex={rowIndex}
      className="row new-row"
      data-row={NEW_ROW}
      style={{ transform: `translateY(${offset}px)`, blockSize: `${size}px` }}
    >
      <span role="gridcell" className="cell">
        <button type="button" tabIndex={isActive ? 0 : -1} data-cell={`${NEW_ROW}/select`} onFocus={onFocus} onClick={onAdd}>
          <Plus aria-hidden /> Add a position, or paste rows here
        </button>
      </span>
    </div>
  )
}
