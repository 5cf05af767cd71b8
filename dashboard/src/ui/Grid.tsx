/**
 * Grid of positions with the keyboard, ranges and clipboard of a spreadsheet, after the WAI-ARIA grid pattern.
 *
 * Only visible rows are in the DOM, so that 5,000 rows are as fast as 50; the page scrolls.
 */

import type { UrlHeads } from "@automerge/automerge-repo/slim"
import { defaultRangeExtractor, useWindowVirtualizer } from "@tanstack/react-virtual"
import { type ClipboardEvent, type KeyboardEvent, type SyntheticEvent, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react"
import { valuesIn } from "../grid/cell-changes"
import { type ClipboardTable, readClipboard, toClipboard } from "../grid/clipboard"
import { type GridLine, type GridLines, type GroupLine, positionNear } from "../grid/grid-lines"
import { type CellRange, type CellRef, columnCount, describeRange, isSingleCell, type Rect, rowCount, toRect } from "../grid/range"
import type { CommentsByPosition } from "../plan/comment-index"
import type { PositionAtHeads } from "../plan/edit"
import { FIELDS, type FieldKey, type GroupKey, isAmountField } from "../plan/fields"
import { unitLabel } from "../plan/format"
import type { PositionGroup } from "../plan/grouping"
import { parseInput } from "../plan/input"
import type { Sort } from "../plan/query"
import { type FieldValue, isEqualField, type Position, type Settings, shownValue } from "../plan/schema"
import { foldText } from "../plan/text"
import type { Highlight } from "../sync/plan-store"
import type { CellAddress, Person } from "../sync/presence"
import { ColumnHeader } from "./ColumnHeader"
import { GROUP_PART, type GroupNote, GroupRow } from "./GroupRow"
import { useCurrentMinute, useMediaQuery } from "./hooks"
import { NEW_ROW, NewRow } from "./NewRow"
import { type CellEdit, COLUMNS, type Column, FIRST_FIELD, isFieldColumn, Row, type RowActions, type RowRange } from "./Row"
import { NARROW_ROW_HEIGHT, NARROW_SCREEN, ROW_HEIGHT } from "./row-size"
import { useRangeDrag } from "./use-range-drag"

const NARROW_HEAD_HEIGHT = 64
const ROWS_PER_PAGE = 12
const LAST_FIELD = FIELDS.at(-1) as FieldKey

interface Props {
  /** The positions of the list, and the heads of their groups. */
  lines: GridLines
  /** All positions of the list, those of collapsed groups included. */
  listed: readonly Position[]
  /** The field of the groups. */
  grouping: GroupKey | null
  /** A line of figures lies over the top of the window. */
  hasFiguresLine: boolean
  /** Heads of the document for `lines`. */
  heads: UrlHeads
  settings: Settings
  people: readonly Person[]
  highlights: ReadonlyMap<string, Highlight>
  comments: CommentsByPosition
  selected: ReadonlySet<string>
  sort: Sort | null
  canEdit: boolean
  onSelected: (selected: ReadonlySet<string>) => void
  onSort: (sort: Sort | null) => void
  /** `key`: the folded name of a group. */
  onCollapse: (key: string, isCollapsed: boolean) => void
  /** What stands beside the sum of a group, such as what is left of its budget. */
  groupNote: (key: string) => GroupNote | null
  /** `base`: the position when the cell was opened, if somebody else has set the field or deleted the position since. */
  onSet: (id: string, field: FieldKey, value: FieldValue, base: PositionAtHeads | null) => void
  /** The current version of a position, which may not be rendered yet; `null` if it was deleted. */
  readPosition: (id: string) => PositionAtHeads | null
  /** The position being edited. It stays in the list even if the filter excludes it. */
  onEditing: (id: string | null) => void
  onConflict: (id: string, field: FieldKey) => void
  onComments: (id: string) => void
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
  const { lines: gridLines, listed, grouping, settings, people, highlights, selected, sort, canEdit } = props
  const { lines, positions, lineOf, lineOfHead } = gridLines
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
  /** The line of a position or of the head of a group. */
  const lineOfId = (id: string) => lineOfHead.get(id) ?? lineOf[indexById.get(id) ?? -1]
  const activeLine = active ? lineOfId(active.id) : undefined
  const size = isNarrow ? NARROW_ROW_HEIGHT : ROW_HEIGHT
  const headSize = isNarrow ? NARROW_HEAD_HEIGHT : ROW_HEIGHT
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
    count: lines.length + (hasNewRow ? 1 : 0),
    estimateSize: (at) => (lines[at]?.kind === "group" ? headSize : size),
    overscan: 2,
    scrollMargin: margin,
    // Rows below the sticky toolbar and header are hidden.
    scrollPaddingStart: padding,
    getItemKey: (at) => {
      const line = lines[at]
      return line === undefined ? NEW_ROW : line.kind === "group" ? line.id : line.position.id
    },
    // The active row stays rendered: it has the focus and the editor.
    rangeExtractor: (range) => {
      const shown = defaultRangeExtractor(range)
      const kept = isOnNewRow ? lines.length : activeLine
      return kept === undefined || shown.includes(kept) ? shown : [...shown, kept].sort((one, other) => one - other)
    },
  })
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new row size requires new measurements
  useEffect(() => virtual.measure(), [size])

  const listTop = useRef<number | null>(null)
  // biome-ignore lint/correctness/useExhaustiveDependencies: the line of figures moves the header
  useLayoutEffect(() => {
    const measure = () => {
      const top = body.current ? body.current.getBoundingClientRect().top + window.scrollY : 0
      setMargin((before) => (Math.abs(before - top) < 1 ? before : top))
      if (head.current) setPadding(head.current.offsetHeight + (Number.parseFloat(getComputedStyle(head.current).top) || 0))
      const moved = top - (listTop.current ?? top)
      listTop.current = top
      keepFocusInView(body.current, head.current, moved)
    }
    measure()
    // In the next frame the toolbar has its new height, and the header its new place.
    let frame = 0
    const observer = new ResizeObserver(() => {
      cancelAnimationFrame(frame)
      frame = requestAnimationFrame(measure)
    })
    observer.observe(document.body)
    return () => {
      cancelAnimationFrame(frame)
      observer.disconnect()
    }
  }, [props.hasFiguresLine])

  // Typing starts the editor of a cell, which may have been scrolled away.
  useEffect(() => {
    if (editing) keepFocusInView(body.current, head.current, null)
  }, [editing])

  const scrollTo = useRef<string | null>(null)
  useLayoutEffect(() => {
    const at = lineOfId(scrollTo.current ?? "")
    if (at === undefined) return
    scrollTo.current = null
    virtual.scrollToIndex(at, { align: "auto" })
  })
  useLayoutEffect(() => {
    if (!wantsFocus.current || !active) return
    wantsFocus.current = false
    body.current
      ?.querySelector<HTMLElement>(`[data-cell="${CSS.escape(active.id)}/${focusedPart(active, lineOfHead)}"]`)
      ?.focus({ preventScroll: true })
  })

  const { heads, onDeletedWhileEditing, onCellFocus, onEditing } = props
  // Without a grid, no cell is occupied.
  useEffect(() => () => onCellFocus(null), [onCellFocus])
  // When the active row disappears, the focus moves to the head of its collapsed group, or to the row in its place.
  const last = useRef(0)
  useEffect(() => {
    if (activeLine !== undefined) last.current = activeLine
    else if (active && !isOnNewRow && !editing) {
      const holdsActive = (line: GridLine) =>
        line.kind === "group" && line.isCollapsed && line.group.positions.some(({ id }) => id === active.id)
      const next = lines.find(holdsActive) ?? lines[Math.min(last.current, lines.length - 1)]
      wantsFocus.current = next !== undefined && document.activeElement === document.body
      setActive(next ? { id: next.kind === "group" ? next.id : next.position.id, column: active.column } : null)
      onCellFocus(null)
    }
  }, [active, activeLine, isOnNewRow, editing, lines, onCellFocus])

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

  /** Moves the focus to a line. */
  const moveTo = (at: number, column: Column) => {
    setRange(null)
    if (hasNewRow && at === lines.length && !isOnNewRow) {
      wantsFocus.current = true
      setActive({ id: NEW_ROW, column })
      virtual.scrollToIndex(lines.length, { align: "auto" })
      return
    }
    const to = Math.max(0, Math.min(lines.length - 1, at))
    const line = lines[to]
    if (!line) return
    wantsFocus.current = true
    setActive({ id: line.kind === "group" ? line.id : line.position.id, column })
    virtual.scrollToIndex(to, { align: "auto" })
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
  /** The position at a distance from the top of the body. */
  const rowAt = (offset: number): number | null =>
    positionNear(gridLines, virtual.getVirtualItemForOffset(offset + margin)?.index ?? lines.length)
  const startDrag = useRangeDrag({ body, rowAt, top: padding })
  const select = (anchor: CellRef, head: CellRef) => setRange({ anchor, head })
  /** Whether an action on these cells moves rows into other groups. The rectangle is then another one. */
  const isRegrouping = ({ left, right }: Rect): boolean => grouping !== null && FIELDS.slice(left, right + 1).includes(grouping)
  const keepInView = (id: string | undefined) => {
    scrollTo.current = id ?? null
  }
  /** Fills cells and selects them together with their source. */
  const fill = (source: Rect, target: Rect) => {
    props.onFill(source, target)
    if (isRegrouping(source)) {
      keepInView(active?.id)
      return setRange(null)
    }
    const [top, bottom] = [positions[Math.min(source.top, target.top)], positions[Math.max(source.bottom, target.bottom)]]
    const [left, right] = [FIELDS[source.left], FIELDS[source.right]]
    if (top && bottom && left && right) select({ id: top.id, field: left }, { id: bottom.id, field: right })
  }
  const clear = (target: Rect, cut: boolean) => {
    props.onClear(target, cut)
    if (!isRegrouping(target)) return
    keepInView(active?.id)
    setRange(null)
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
      props.onCellFocus(isFieldColumn(column) && !lineOfHead.has(id) ? { position: id, field: column } : null)
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
      const group = foldText(String(value ?? ""))
      const isMoved = field === grouping && before !== null && foldText(String(before.position[field] ?? "")) !== group
      if (!isMoved) return latest.current.leave(id, field, onward)
      // The row moves into another group: the focus goes with it.
      props.onCollapse(group, false)
      if (onward !== "stay") keepInView(id)
      if (onward !== "down") return latest.current.leave(id, field, onward)
      latest.current.cancel(id, field)
    },
    leave: (id, field, onward) => {
      endEdit()
      const [at, column] = [indexById.get(id) ?? 0, columns.indexOf(field)]
      if (onward === "cell") {
        wantsFocus.current = true
        setActive({ id, column: field })
      } else if (onward === "down") moveTo(lineOf[at + 1 < positions.length ? at + 1 : at] ?? 0, field)
      else if (onward !== "stay") step(at, column, onward === "next" ? 1 : -1)
    },
    cancel: (id, field) => {
      endEdit()
      wantsFocus.current = true
      setActive({ id, column: field })
    },
    conflict: (id, field) => props.onConflict(id, field),
    comments: (id) => props.onComments(id),
    history: (id) => props.onHistory(id),
    remove: (id) => {
      moveFrom(new Set([id]))
      props.onRemove([id])
    },
  }
  const step = (at: number, column: number, by: 1 | -1) => {
    const next = columns[column + by]
    if (next && isFieldColumn(next)) return startEdit((positions[at] as Position).id, next, null)
    moveTo(lineOf[at] ?? 0, columns[column] as Column)
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
      comments: (id) => latest.current.comments(id),
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

  /** The row to move to from `from`: by rows, or to the end of the list. Rows are lines, or positions for a selection. */
  const destination = (event: KeyboardEvent, from: number, at: number, lastRow: number): [row: number, column: number] | null => {
    const lastColumn = columns.length - 1
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
    const to = destination(event, indexById.get(head.id) ?? 0, columns.indexOf(head.field), positions.length - 1)
    if (!to) return false
    const position = positions[Math.max(0, Math.min(positions.length - 1, to[0]))]
    const first = columns.indexOf(FIRST_FIELD)
    const field = columns[Math.max(first, Math.min(columns.indexOf(LAST_FIELD), to[1]))] as FieldKey
    if (!position) return false
    const next = { id: position.id, field }
    const isCollapsed = next.id === active.id && next.field === active.column && anchor.id === active.id && anchor.field === active.column
    setRange(isCollapsed ? null : { anchor, head: next })
    virtual.scrollToIndex(lineOfId(position.id) ?? 0, { align: "auto" })
    return true
  }
  const onNewRowKey = (event: KeyboardEvent) => {
    const column = active?.column ?? FIRST_FIELD
    const isMod = event.ctrlKey || event.metaKey
    if (event.key === "ArrowUp") moveTo(isMod ? 0 : lines.length - 1, column)
    else if (event.key === "PageUp") moveTo(lines.length - ROWS_PER_PAGE, column)
    else if (event.key === "Home" && isMod) moveTo(0, columns[0] as Column)
    else return
    event.preventDefault()
  }
  const selectAll = () => {
    const [top, bottom] = [positions[0], positions.at(-1)]
    if (top && bottom) select({ id: top.id, field: FIRST_FIELD }, { id: bottom.id, field: LAST_FIELD })
  }
  /** The head of a group: Left and Right collapse and expand it. Its button handles Enter and Space. */
  const onHeadKey = (event: KeyboardEvent, { group, isCollapsed }: GroupLine, line: number, column: Column) => {
    const isMod = event.ctrlKey || event.metaKey
    if (event.altKey) return
    const isAcross = event.key === "ArrowLeft" || event.key === "ArrowRight"
    const to = isAcross ? null : destination(event, line, columns.indexOf(column), lines.length - 1)
    if (event.shiftKey && event.key === " ") checkGroup(group)
    else if (event.shiftKey) return
    else if (isAcross && column === "select") {
      if (event.key === "ArrowRight") moveTo(line, FIRST_FIELD)
    } else if (event.key === "ArrowLeft" && isCollapsed && canEdit) moveTo(line, "select")
    else if (isAcross) props.onCollapse(group.key, event.key === "ArrowLeft")
    else if (isMod && event.key.toLowerCase() === "a") selectAll()
    else if (to) moveTo(to[0], columns[Math.max(0, Math.min(columns.length - 1, to[1]))] as Column)
    else return
    event.preventDefault()
  }
  const checkGroup = (group: PositionGroup) => {
    const next = new Set(selected)
    const areAll = group.positions.every(({ id }) => next.has(id))
    for (const { id } of group.positions) {
      if (areAll) next.delete(id)
      else next.add(id)
    }
    props.onSelected(next)
  }
  const onKeyDown = (event: KeyboardEvent) => {
    if (!isInRow(event) || !active || event.nativeEvent.isComposing) return
    if (isOnNewRow) return onNewRowKey(event)
    const line = lines[activeLine ?? -1]
    if (line?.kind === "group" && activeLine !== undefined) return onHeadKey(event, line, activeLine, active.column)
    if (activeIndex === undefined || activeLine === undefined) return
    const isMod = event.ctrlKey || event.metaKey
    const isPlain = !isMod && !event.altKey
    const isButton = event.target instanceof HTMLButtonElement
    const row = positions[activeIndex] as Position
    if (event.altKey) return
    if (event.shiftKey && event.key === "F2" && isPlain && row.invalidEntry === undefined) {
      event.preventDefault()
      return props.onComments(row.id)
    }
    if (event.shiftKey && extend(event)) return event.preventDefault()
    const to = destination(event, activeLine, columns.indexOf(active.column), lines.length - 1)
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
          clear(rect, false)
        }
        return
      case "Mod+delete":
      case "Mod+backspace":
        if (canEdit) {
          event.preventDefault()
          removeSelected()
        }
        return
      case "Mod+a":
        event.preventDefault()
        return selectAll()
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
    if (isRegrouping({ ...target, right: Math.max(target.right, target.left + (table.rows[0]?.length ?? 1) - 1) })) {
      keepInView(active?.id)
      return setRange(null)
    }
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
    if (copied) clear(copied, true)
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

  const areAllSelected = listed.length > 0 && listed.every((position) => selected.has(position.id))
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
        aria-rowcount={lines.length + (hasNewRow ? 2 : 1)}
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
                onChange={() => props.onSelected(areAllSelected ? new Set() : new Set(listed.map((position) => position.id)))}
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
            const line = lines[index]
            const isFirst = activeLine === undefined && !isOnNewRow && index === 0
            if (!line)
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
            if (line.kind === "group")
              return (
                <GroupRow
                  key={line.id}
                  line={line}
                  rowIndex={index + 2}
                  offset={start - margin}
                  size={headSize}
                  columnCount={columns.length}
                  active={active?.id === line.id ? active.column : isFirst ? FIRST_FIELD : null}
                  selected={selected}
                  canEdit={canEdit}
                  grouping={grouping}
                  note={props.groupNote(line.group.key)}
                  onFocus={(column) => actions.enter(line.id, column)}
                  onToggle={() => props.onCollapse(line.group.key, !line.isCollapsed)}
                  onCheck={() => checkGroup(line.group)}
                />
              )
            const { position } = line
            const isActive = active?.id === position.id
            return (
              <Row
                key={position.id}
                position={position}
                rowIndex={index + 2}
                number={line.number}
                offset={start - margin}
                size={size}
                isSelected={selected.has(position.id)}
                range={rangeOf(line.index)}
                active={isActive ? active.column : isFirst ? FIRST_FIELD : null}
                editing={isActive ? editing : null}
                highlight={highlights.get(position.id) ?? null}
                editors={editorsByRow.get(position.id) ?? null}
                comments={props.comments.get(position.id) ?? null}
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

/** Distance to the edge of the window, in CSS pixels. */
const EDGE = 16

/**
 * Scrolls the row with the focus into view. `moved`: the page above the list has grown by this number of pixels, or the sticky header has
 * come to cover the row; a row that was out of view before then stays there, since the user has scrolled it away.
 */
function keepFocusInView(body: HTMLElement | null, head: HTMLElement | null, moved: number | null): void {
  const row = document.activeElement?.closest<HTMLElement>("[data-row]")
  if (!row || !head || !body?.contains(row)) return
  const { top, bottom, height } = row.getBoundingClientRect()
  const covered = head.getBoundingClientRect().bottom - top
  const below = bottom - window.innerHeight
  if (covered > 0 && (moved === null || covered <= height)) window.scrollBy(0, -covered)
  else if (below > 0 && (moved === null || below < height)) window.scrollBy(0, below + EDGE)
  else if (below > 0 && moved !== null && below <= moved) window.scrollBy(0, moved)
}

const cellOf = ({ id, column }: CellPosition): CellRef => ({ id, field: isFieldColumn(column) ? column : FIRST_FIELD })

/** The part of a row that has the focus. A head has a checkbox and a button. */
const focusedPart = ({ id, column }: CellPosition, heads: ReadonlyMap<string, number>): string =>
  id === NEW_ROW ? "select" : heads.has(id) && column !== "select" ? GROUP_PART : column

/** Grid keys apply to rows; controls in the header have their own. */
const isInRow = ({ target }: SyntheticEvent): boolean => target instanceof Element && target.closest("[data-row]") !== null
