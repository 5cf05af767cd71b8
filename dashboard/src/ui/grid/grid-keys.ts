/** The keys of the grid: those of a spreadsheet, after the WAI-ARIA grid pattern. */
import type { KeyboardEvent } from "react"
import type { GroupLine } from "../../grid/grid-lines"
import type { ColumnKey } from "../../plan/fields"
import type { Position } from "../../plan/schema"
import { type Column, FIRST_FIELD, fieldCell, isFieldColumn, lastField } from "./columns"
import { isInRow } from "./grid-clipboard"
import type { GridProps } from "./grid-props"
import type { CellEditing } from "./use-cell-editing"
import type { GridCommands } from "./use-grid-commands"
import type { GridMovement } from "./use-grid-movement"
import type { GridScroll } from "./use-grid-scroll"
import type { GridSelection } from "./use-grid-selection"

const ROWS_PER_PAGE = 12

interface Options {
  props: GridProps
  columns: readonly Column[]
  selection: GridSelection
  scroll: GridScroll
  movement: GridMovement
  commands: GridCommands
  editing: CellEditing
}

/** Returns the handler of pressed keys. */
export function gridKeys({ props, columns, selection, scroll, movement, commands, editing }: Options): (event: KeyboardEvent) => void {
  const { canEdit, fields } = props
  const { lines, positions } = props.lines
  const { active, activeIndex, activeLine, indexById, isOnNewRow, range, rect, setRange } = selection
  const { moveTo } = movement

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
  const columnAt = (at: number) => columns[Math.max(0, Math.min(columns.length - 1, at))] as Column
  /** Moves the head of the selection, which stays within the fields. */
  const extend = (event: KeyboardEvent): boolean => {
    if (!active || !isFieldColumn(active.column)) return false
    const { anchor, head } = range ?? { anchor: fieldCell(active), head: fieldCell(active) }
    const to = destination(event, indexById.get(head.id) ?? 0, columns.indexOf(head.field), positions.length - 1)
    if (!to) return false
    const position = positions[Math.max(0, Math.min(positions.length - 1, to[0]))]
    const first = columns.indexOf(FIRST_FIELD)
    const field = columns[Math.max(first, Math.min(columns.indexOf(lastField(fields)), to[1]))] as ColumnKey
    if (!position) return false
    const next = { id: position.id, field }
    const isCollapsed = next.id === active.id && next.field === active.column && anchor.id === active.id && anchor.field === active.column
    setRange(isCollapsed ? null : { anchor, head: next })
    scroll.showLine(selection.lineOfId(position.id) ?? 0)
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
  /** The head of a group: Left and Right collapse and expand it. Its button handles Enter and Space. */
  const onHeadKey = (event: KeyboardEvent, { group, isCollapsed }: GroupLine, line: number, column: Column) => {
    const isMod = event.ctrlKey || event.metaKey
    if (event.altKey) return
    const isAcross = event.key === "ArrowLeft" || event.key === "ArrowRight"
    const to = isAcross ? null : destination(event, line, columns.indexOf(column), lines.length - 1)
    if (event.shiftKey && event.key === " ") commands.checkGroup(group)
    else if (event.shiftKey) return
    else if (isAcross && column === "select") {
      if (event.key === "ArrowRight") moveTo(line, FIRST_FIELD)
    } else if (event.key === "ArrowLeft" && isCollapsed && canEdit) moveTo(line, "select")
    else if (isAcross) props.onCollapse(group.key, event.key === "ArrowLeft")
    else if (isMod && event.key.toLowerCase() === "a") commands.selectAll()
    else if (to) moveTo(to[0], columnAt(to[1]))
    else return
    event.preventDefault()
  }
  const onRowKey = (event: KeyboardEvent, row: Position, line: number, column: Column) => {
    const isMod = event.ctrlKey || event.metaKey
    const isPlain = !isMod && !event.altKey
    const isButton = event.target instanceof HTMLButtonElement
    if (event.altKey) return
    if (event.shiftKey && event.key === "F2" && isPlain && row.invalidEntry === undefined) {
      event.preventDefault()
      return props.onComments(row.id)
    }
    if (event.shiftKey && extend(event)) return event.preventDefault()
    const to = destination(event, line, columns.indexOf(column), lines.length - 1)
    if (to && !event.shiftKey) {
      event.preventDefault()
      return moveTo(to[0], columnAt(to[1]))
    }
    const key = isMod ? `Mod+${event.key.toLowerCase()}` : event.key
    switch (key) {
      case "Enter":
      case "F2":
        if (!isButton && isFieldColumn(column)) {
          event.preventDefault()
          editing.start(row.id, column, null)
        }
        return
      case "Escape":
        return setRange(null)
      case "Delete":
      case "Backspace":
        if (canEdit && rect && !isButton) {
          event.preventDefault()
          commands.clear(rect, false)
        }
        return
      case "Mod+delete":
      case "Mod+backspace":
        if (canEdit) {
          event.preventDefault()
          commands.removeSelected()
        }
        return
      case "Mod+a":
        event.preventDefault()
        return commands.selectAll()
      case "Mod+d":
        if (canEdit && rect) {
          event.preventDefault()
          commands.fillDown()
        }
        return
      case "Mod+ ":
        if (rect && event.ctrlKey) {
          event.preventDefault()
          commands.selectColumns()
        }
        return
      case " ":
        if (isButton || !isFieldColumn(column)) return
        event.preventDefault()
        if (event.shiftKey && rect) commands.selectRows()
        else if (canEdit) commands.checkRows()
        return
      default:
        // Commands of the page: search, and the list of keys.
        if (event.key === "/" || event.key === "?") return
        if (isPlain && canEdit && isFieldColumn(column) && [...event.key].length === 1) {
          event.preventDefault()
          editing.start(row.id, column, event.key)
        }
    }
  }
  return (event) => {
    if (!isInRow(event) || !active || event.nativeEvent.isComposing) return
    if (isOnNewRow) return onNewRowKey(event)
    const line = lines[activeLine ?? -1]
    if (line?.kind === "group" && activeLine !== undefined) return onHeadKey(event, line, activeLine, active.column)
    if (activeIndex === undefined || activeLine === undefined) return
    onRowKey(event, positions[activeIndex] as Position, activeLine, active.column)
  }
}
