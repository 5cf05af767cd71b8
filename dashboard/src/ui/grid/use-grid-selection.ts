/** The cell with the focus, the selected cells, and the open editor. */
import { useEffect, useMemo, useState } from "react"
import type { GridLines } from "../../grid/grid-lines"
import { type CellRange, isSingleCell, type Rect, toRect } from "../../grid/range"
import type { Field } from "../../plan/fields"
import { type CellPosition, isFieldColumn } from "./columns"
import { NEW_ROW } from "./NewRow"
import type { CellEdit } from "./row-actions"

export interface GridSelection {
  active: CellPosition | null
  setActive: (cell: CellPosition | null) => void
  /** The selected cells, if they are not just the active one. */
  range: CellRange | null
  setRange: (change: CellRange | null | ((before: CellRange | null) => CellRange | null)) => void
  /** The editor in the active cell. */
  editing: CellEdit | null
  setEditing: (edit: CellEdit | null) => void
  /** Indices of positions, by id. */
  indexById: ReadonlyMap<string, number>
  /** The line of a position or of the head of a group. */
  lineOfId: (id: string) => number | undefined
  /** Index of the active position, and its line. */
  activeIndex: number | undefined
  activeLine: number | undefined
  isOnNewRow: boolean
  /** The selected cells; `null` without any. */
  rect: Rect | null
  /** More than one cell is selected. */
  isMultiple: boolean
}

/** `fields`: the columns that the list shows. `onRange`: receives the selected cells; `null` if there is no more than one. */
export function useGridSelection(
  { positions, lineOf, lineOfHead }: GridLines,
  fields: readonly Field[],
  hasNewRow: boolean,
  onRange: (rect: Rect | null) => void,
): GridSelection {
  const [active, setActive] = useState<CellPosition | null>(null)
  const [range, setRange] = useState<CellRange | null>(null)
  const [editing, setEditing] = useState<CellEdit | null>(null)
  const indexById = useMemo(() => new Map(positions.map((position, at) => [position.id, at])), [positions])
  const lineOfId = (id: string) => lineOfHead.get(id) ?? lineOf[indexById.get(id) ?? -1]
  const rect = useMemo((): Rect | null => {
    const ranged = range && toRect(range, indexById, fields)
    if (ranged) return ranged
    if (!active || !isFieldColumn(active.column)) return null
    const cell = { id: active.id, field: active.column }
    return toRect({ anchor: cell, head: cell }, indexById, fields)
  }, [range, active, indexById, fields])
  const isMultiple = rect !== null && !isSingleCell(rect)

  // The rest of the page shows the selected cells.
  const shownRect = isMultiple ? rect : null
  useEffect(() => onRange(shownRect), [shownRect, onRange])
  useEffect(() => () => onRange(null), [onRange])

  return {
    active,
    setActive,
    range,
    setRange,
    editing,
    setEditing,
    indexById,
    lineOfId,
    activeIndex: active ? indexById.get(active.id) : undefined,
    activeLine: active ? lineOfId(active.id) : undefined,
    isOnNewRow: hasNewRow && active?.id === NEW_ROW,
    rect,
    isMultiple,
  }
}
