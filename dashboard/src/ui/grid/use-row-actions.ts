/** What the rows of the grid call: the mouse, checkboxes, editors and buttons. */
import { type PointerEvent, useRef, useState } from "react"
import type { CellRange, Rect } from "../../grid/range"
import type { ColumnKey } from "../../plan/fields"
import { parseInput } from "../../plan/input"
import { useLatestCallbacks } from "../hooks"
import { type Column, FIRST_FIELD, fieldCell, isFieldColumn, lastField } from "./columns"
import type { GridProps } from "./grid-props"
import type { RowActions } from "./row-actions"
import type { CellEditing } from "./use-cell-editing"
import type { GridCommands } from "./use-grid-commands"
import type { GridMovement } from "./use-grid-movement"
import type { GridScroll } from "./use-grid-scroll"
import type { GridSelection } from "./use-grid-selection"
import { useRangeDrag } from "./use-range-drag"

interface Options {
  props: GridProps
  selection: GridSelection
  scroll: GridScroll
  movement: GridMovement
  commands: GridCommands
  editing: CellEditing
}

/** Returns a stable object, so that memoized rows do not render again, and the rows that are filled when the mouse button is released. */
export function useRowActions({ props, selection, scroll, movement, commands, editing }: Options): {
  actions: RowActions
  fillTarget: Rect | null
} {
  const { fields, lines, settings } = props
  const { active, range, rect, setActive, setRange } = selection
  const [fillTarget, setFillTarget] = useState<Rect | null>(null)
  const latestPositions = useRef(lines.positions)
  latestPositions.current = lines.positions
  const startDrag = useRangeDrag({ body: scroll.body, rowAt: scroll.rowAt, top: scroll.padding })

  const press = (id: string, column: Column, event: PointerEvent) => {
    if (event.pointerType === "touch" || event.button !== 0) return
    const isRow = column === "select"
    const [first, last] = isRow ? [FIRST_FIELD, lastField(fields)] : [column, column]
    if (!isFieldColumn(first) || !isFieldColumn(last)) return
    const isExtended = event.shiftKey && active !== null && selection.editing === null
    const start: CellRange =
      isExtended && isFieldColumn(active.column)
        ? { anchor: isRow ? { id: active.id, field: FIRST_FIELD } : (range?.anchor ?? fieldCell(active)), head: { id, field: last } }
        : { anchor: { id, field: first }, head: { id, field: last } }
    if (isExtended) {
      // The focus stays in the active cell.
      event.preventDefault()
      setRange(start)
    } else if (isRow) {
      event.preventDefault()
      movement.focus({ id, column: FIRST_FIELD })
      setRange(start)
    } else setRange(null)
    startDrag({
      move: (row, over) => {
        const position = latestPositions.current[row]
        if (!position) return
        const field = isRow ? last : over !== null && isFieldColumn(over as Column) ? (over as ColumnKey) : null
        setRange((before) => {
          const { anchor, head } = before ?? start
          const next = { id: position.id, field: field ?? head.field }
          if (next.id === head.id && next.field === head.field) return before
          return { anchor, head: next }
        })
      },
      end: () => undefined,
    })
  }
  const pressHandle = (event: PointerEvent) => {
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
        if (target && !isCancelled) commands.fill(rect, target)
      },
    })
  }

  const actions = useLatestCallbacks<RowActions>({
    select: commands.checkRow,
    enter: (id, column) => {
      if (active?.id !== id || active.column !== column) {
        setActive({ id, column })
        setRange(null)
      }
      props.onCellFocus(isFieldColumn(column) && !lines.lineOfHead.has(id) ? { position: id, field: column } : null)
    },
    press,
    pressHandle,
    edit: (id, column) => editing.start(id, column, null),
    draft: editing.draft,
    read: (field, text) => parseInput(field, text, settings),
    commit: editing.commit,
    leave: editing.leave,
    cancel: editing.cancel,
    conflict: props.onConflict,
    comments: props.onComments,
    history: props.onHistory,
    remove: (id) => {
      movement.moveFrom(new Set([id]))
      props.onRemove([id])
    },
  })
  return { actions, fillTarget }
}
