/** What keys and the mouse do with the selected cells: select, check, fill, clear and remove. */
import { useRef } from "react"
import { type CellRef, type Rect, rowCount } from "../../grid/range"
import { type ColumnKey, keyOf } from "../../plan/fields"
import type { PositionGroup } from "../../plan/grouping"
import { FIRST_FIELD, lastField } from "./columns"
import type { GridProps } from "./grid-props"
import type { GridMovement } from "./use-grid-movement"
import type { GridScroll } from "./use-grid-scroll"
import type { GridSelection } from "./use-grid-selection"

interface Options {
  props: GridProps
  selection: GridSelection
  scroll: GridScroll
  movement: GridMovement
}

export function useGridCommands({ props, selection, scroll, movement }: Options) {
  const { fields, selected, grouping, onSelected } = props
  const { positions } = props.lines
  const { active, rect, indexById, setRange } = selection
  /** The row that was checked last: Shift checks the rows from there. */
  const anchor = useRef<string | null>(null)

  const select = (from: CellRef, to: CellRef) => setRange({ anchor: from, head: to })
  const selectRect = ({ top, bottom, left, right }: Rect) => {
    const [first, last] = [positions[top], positions[bottom]]
    const [from, to] = [fields[left], fields[right]]
    if (first && last && from && to) select({ id: first.id, field: keyOf(from) }, { id: last.id, field: keyOf(to) })
  }
  /** Whether an action on these cells moves rows into other groups. The rectangle is then another one. */
  const isRegrouping = ({ left, right }: Rect): boolean =>
    grouping !== null && fields.slice(left, right + 1).some((field) => keyOf(field) === keyOf(grouping))
  /** Selects the active cell only, and keeps it in view while rows move. */
  const followActive = () => {
    scroll.showNext(active?.id)
    setRange(null)
  }
  /** Checks rows, or unchecks them if all are checked. */
  const toggle = (ids: readonly string[]) => {
    const next = new Set(selected)
    const areAll = ids.every((id) => next.has(id))
    for (const id of ids) {
      if (areAll) next.delete(id)
      else next.add(id)
    }
    onSelected(next)
  }
  /** Fills cells and selects them together with their source. */
  const fill = (source: Rect, target: Rect) => {
    props.onFill(source, target)
    if (isRegrouping(source)) return followActive()
    selectRect({ ...source, top: Math.min(source.top, target.top), bottom: Math.max(source.bottom, target.bottom) })
  }

  return {
    select,
    selectRect,
    isRegrouping,
    followActive,
    fill,
    clear: (target: Rect, cut: boolean) => {
      props.onClear(target, cut)
      if (isRegrouping(target)) followActive()
    },
    /** Ctrl+D: the first row of the selection fills the others; a single row is filled from the one above. */
    fillDown: () => {
      if (!rect) return
      if (rowCount(rect) > 1) fill({ ...rect, bottom: rect.top }, { ...rect, top: rect.top + 1 })
      else if (rect.top > 0) props.onFill({ ...rect, top: rect.top - 1, bottom: rect.top - 1 }, rect)
    },
    selectColumn: (field: ColumnKey, isExtended: boolean) => {
      const [top, bottom] = [positions[0], positions.at(-1)]
      if (!top || !bottom) return
      const left = fields[rect?.left ?? -1]
      const from = isExtended && left ? keyOf(left) : field
      if (!isExtended) movement.focus({ id: top.id, column: field })
      select({ id: top.id, field: from }, { id: bottom.id, field })
    },
    selectAll: () => {
      const [top, bottom] = [positions[0], positions.at(-1)]
      if (top && bottom) select({ id: top.id, field: FIRST_FIELD }, { id: bottom.id, field: lastField(fields) })
    },
    /** Selects the columns of the selection in full. */
    selectColumns: () => {
      if (rect) selectRect({ ...rect, top: 0, bottom: positions.length - 1 })
    },
    /** Selects the rows of the selection in full. */
    selectRows: () => {
      const [top, bottom] = [positions[rect?.top ?? -1], positions[rect?.bottom ?? -1]]
      if (top && bottom) select({ id: top.id, field: FIRST_FIELD }, { id: bottom.id, field: lastField(fields) })
    },
    /** Checks or unchecks a row. `isRange`: checks all rows from the one that was checked last. */
    checkRow: (id: string, isRange: boolean) => {
      const next = new Set(selected)
      const [from, to] = [indexById.get(anchor.current ?? ""), indexById.get(id)]
      if (isRange && from !== undefined && to !== undefined)
        for (const position of positions.slice(Math.min(from, to), Math.max(from, to) + 1)) next.add(position.id)
      else if (!next.delete(id)) next.add(id)
      anchor.current = id
      onSelected(next)
    },
    /** Checks the rows of the selection, or unchecks them if all are checked. */
    checkRows: () => {
      if (!rect) return
      const ids = positions.slice(rect.top, rect.bottom + 1).map(({ id }) => id)
      anchor.current = ids[0] ?? null
      toggle(ids)
    },
    checkGroup: (group: PositionGroup) => toggle(group.positions.map(({ id }) => id)),
    /** Removes the checked rows, or those of the selection. */
    removeSelected: () => {
      const ranged = rect ? positions.slice(rect.top, rect.bottom + 1).map(({ id }) => id) : active ? [active.id] : []
      const ids = selected.size > 0 ? [...selected] : ranged
      setRange(null)
      movement.moveFrom(new Set(ids))
      props.onRemove(ids)
    },
  }
}

export type GridCommands = ReturnType<typeof useGridCommands>
