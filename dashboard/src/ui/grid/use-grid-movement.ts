/** Moves the focus between the cells of the grid. */
import { useEffect, useLayoutEffect, useRef } from "react"
import type { GridLine, GridLines } from "../../grid/grid-lines"
import type { Position } from "../../plan/schema"
import type { CellAddress } from "../../sync/presence"
import { type CellPosition, type Column, FIRST_FIELD, lineId } from "./columns"
import { GROUP_PART } from "./GroupRow"
import { NEW_ROW } from "./NewRow"
import { type GridScroll, showSideways } from "./use-grid-scroll"
import type { GridSelection } from "./use-grid-selection"

interface Options {
  gridLines: GridLines
  columns: readonly Column[]
  hasNewRow: boolean
  selection: GridSelection
  scroll: GridScroll
  onCellFocus: (cell: CellAddress | null) => void
}

export interface GridMovement {
  /** Makes a cell the active one and gives it the focus. */
  focus: (cell: CellPosition | null) => void
  /** Moves the focus to a line. */
  moveTo: (line: number, column: Column) => void
  /** Moves the focus to the next remaining row before rows are deleted. */
  moveFrom: (gone: ReadonlySet<string>) => void
}

export function useGridMovement({ gridLines, columns, hasNewRow, selection, scroll, onCellFocus }: Options): GridMovement {
  const { lines, positions, lineOfHead } = gridLines
  const { active, activeIndex, activeLine, editing, isOnNewRow, setActive, setRange } = selection
  const { body } = scroll
  /** The active cell receives the focus with the next rendering. */
  const wantsFocus = useRef(false)
  useLayoutEffect(() => {
    if (!wantsFocus.current || !active) return
    wantsFocus.current = false
    const part = CSS.escape(focusedPart(active, lineOfHead))
    const cell = body.current?.querySelector<HTMLElement>(`[data-cell="${CSS.escape(active.id)}/${part}"]`)
    cell?.focus({ preventScroll: true })
    showSideways(cell ?? null)
  })

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
      setActive(next ? { id: lineId(next), column: active.column } : null)
      onCellFocus(null)
    }
  }, [active, activeLine, isOnNewRow, editing, lines, onCellFocus, setActive])

  // When the active column is hidden or deleted, the focus moves to the column that is always there.
  useEffect(() => {
    if (!active || editing || columns.includes(active.column)) return
    wantsFocus.current = document.activeElement === document.body
    setActive({ id: active.id, column: FIRST_FIELD })
  }, [active, editing, columns, setActive])

  const focus = (cell: CellPosition | null) => {
    wantsFocus.current = cell !== null
    setActive(cell)
  }
  return {
    focus,
    moveTo: (at, column) => {
      setRange(null)
      if (hasNewRow && at === lines.length && !isOnNewRow) {
        focus({ id: NEW_ROW, column })
        scroll.showLine(lines.length)
        return
      }
      const to = Math.max(0, Math.min(lines.length - 1, at))
      const line = lines[to]
      if (!line) return
      focus({ id: lineId(line), column })
      scroll.showLine(to)
    },
    moveFrom: (gone) => {
      if (!active || activeIndex === undefined || !gone.has(active.id)) return
      const left = (position: Position) => !gone.has(position.id)
      const next = positions.slice(activeIndex).find(left) ?? positions.slice(0, activeIndex).findLast(left)
      focus(next ? { id: next.id, column: active.column } : null)
    },
  }
}

/** The part of a row that has the focus. A head has a checkbox and a button. */
const focusedPart = ({ id, column }: CellPosition, heads: ReadonlyMap<string, number>): string =>
  id === NEW_ROW ? "select" : heads.has(id) && column !== "select" ? GROUP_PART : column
