/** Opens and closes the editor of a cell, and writes what was entered. */
import { useEffect, useRef } from "react"
import type { PositionAtHeads } from "../../plan/edit"
import { type ColumnKey, keyOf } from "../../plan/fields"
import { parseInput } from "../../plan/input"
import { type FieldValue, isEqualField, type Position, shownValue, validValue } from "../../plan/schema"
import { foldText } from "../../plan/text"
import { useColumns } from "../columns-context"
import type { NextCell } from "./CellEditor"
import { type Column, isFieldColumn } from "./columns"
import type { GridProps } from "./grid-props"
import type { GridMovement } from "./use-grid-movement"
import type { GridScroll } from "./use-grid-scroll"
import type { GridSelection } from "./use-grid-selection"

interface Options {
  props: GridProps
  columns: readonly Column[]
  selection: GridSelection
  scroll: GridScroll
  movement: GridMovement
}

export interface CellEditing {
  /** `text`: the text to start with; `null` for the value of the cell. */
  start: (id: string, column: ColumnKey, text: string | null) => void
  draft: (text: string) => void
  commit: (id: string, field: ColumnKey, value: FieldValue, onward: NextCell) => void
  /** Closes the editor without a change. */
  leave: (id: string, field: ColumnKey, onward: NextCell) => void
  cancel: (id: string, field: ColumnKey) => void
}

export function useCellEditing({ props, columns, selection, scroll, movement }: Options): CellEditing {
  const { positions, lineOf } = props.lines
  const { canEdit, grouping, heads, onDeletedWhileEditing, onClosing, onCellFocus, onEditing } = props
  const { editing, indexById, setActive, setEditing, setRange } = selection
  const typed = useRef<string | null>(null)
  /** The edited row when the cell was opened. */
  const opened = useRef<PositionAtHeads | null>(null)
  /** The edited row as last rendered. */
  const shown = useRef<PositionAtHeads | null>(null)

  // Typing starts the editor of a cell, which may have been scrolled away.
  const { showFocus } = scroll
  // biome-ignore lint/correctness/useExhaustiveDependencies: only when an editor opens
  useEffect(() => {
    if (editing) showFocus()
  }, [editing])

  // When somebody else deletes the edited row, the typed text is kept as a draft.
  useEffect(() => {
    const [before, text] = [opened.current, typed.current]
    if (!editing || !before) return
    const { id } = before.position
    const now = positions[indexById.get(id) ?? -1]
    if (now) {
      shown.current = { position: now, heads }
      return
    }
    opened.current = null
    typed.current = null
    setEditing(null)
    setActive(null)
    onEditing(null)
    onCellFocus(null)
    onDeletedWhileEditing(shown.current?.position.id === id ? shown.current : before, editing.column, text)
  }, [positions, indexById, heads, editing, onDeletedWhileEditing, onCellFocus, onEditing, setActive, setEditing])

  // When somebody else deletes the column, the typed text is written all the same: the values of a deleted column are kept.
  const plan = useColumns()
  // biome-ignore lint/correctness/useExhaustiveDependencies: only when the columns change
  useEffect(() => {
    const [before, text] = [opened.current, typed.current]
    if (!editing || !before || columns.includes(editing.column)) return
    end()
    const column = plan.column(editing.column)
    const input = text === null || column === null ? null : parseInput(column, text, props.settings)
    if (input && "value" in input) props.onSet(before.position.id, editing.column, input.value, null)
  }, [columns, plan, editing])

  // A page that is closed cannot save any more: the typed text is kept as a draft.
  useEffect(() => {
    if (!editing) return
    const onHide = () => {
      const [base, text] = [opened.current, typed.current]
      if (base && text !== null) onClosing({ base, field: editing.column, text })
    }
    const onShow = () => onClosing(null)
    const listeners = [
      [window, "pagehide", onHide],
      [document, "freeze", onHide],
      [window, "pageshow", onShow],
      [document, "resume", onShow],
    ] as const
    for (const [target, type, listener] of listeners) target.addEventListener(type, listener)
    return () => {
      for (const [target, type, listener] of listeners) target.removeEventListener(type, listener)
    }
  }, [editing, onClosing])

  const start = (id: string, column: ColumnKey, text: string | null) => {
    const position = positions[indexById.get(id) ?? -1]
    if (!canEdit || !position || position.invalidEntry !== undefined) return
    opened.current = { position, heads }
    typed.current = text
    setActive({ id, column })
    setRange(null)
    setEditing({ column, initialText: text })
    onEditing(id)
    onCellFocus({ position: id, field: column })
  }
  const end = () => {
    onEditing(null)
    opened.current = null
    typed.current = null
    setEditing(null)
  }
  /** Opens the next or previous cell of a row; at its ends, the focus moves out of the fields. */
  const step = (at: number, column: number, by: 1 | -1) => {
    const next = columns[column + by]
    if (next && isFieldColumn(next)) return start((positions[at] as Position).id, next, null)
    movement.moveTo(lineOf[at] ?? 0, columns[column] as Column)
  }
  const leave = (id: string, field: ColumnKey, onward: NextCell) => {
    end()
    const [at, column] = [indexById.get(id) ?? 0, columns.indexOf(field)]
    if (onward === "cell") movement.focus({ id, column: field })
    else if (onward === "down") movement.moveTo(lineOf[at + 1 < positions.length ? at + 1 : at] ?? 0, field)
    else if (onward !== "stay") step(at, column, onward === "next" ? 1 : -1)
  }
  const cancel = (id: string, field: ColumnKey) => {
    end()
    movement.focus({ id, column: field })
  }
  return {
    start,
    draft: (text) => {
      typed.current = text
    },
    commit: (id, field, value, onward) => {
      const [before, now] = [opened.current, props.readPosition(id)]
      const isSame = before && now && isEqualField(before.position, now.position, field)
      if (!isSame) props.onSet(id, field, value, before)
      else if (shownValue(now.position, field) !== value) props.onSet(id, field, value, null)
      const group = foldText(String(value ?? ""))
      const isMoved =
        grouping !== null &&
        field === keyOf(grouping) &&
        before !== null &&
        foldText(String(validValue(before.position, field) ?? "")) !== group
      if (!isMoved) return leave(id, field, onward)
      // The row moves into another group: the focus goes with it.
      props.onCollapse(group, false)
      if (onward !== "stay") scroll.showNext(id)
      if (onward !== "down") return leave(id, field, onward)
      cancel(id, field)
    },
    leave,
    cancel,
  }
}
