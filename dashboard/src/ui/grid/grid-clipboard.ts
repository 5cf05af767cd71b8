/** Copying, cutting and pasting cells of the grid. */
import type { ClipboardEvent, SyntheticEvent } from "react"
import { valuesIn } from "../../grid/cell-changes"
import { readClipboard, toClipboard } from "../../grid/clipboard"
import { columnCount, type Rect, rowCount } from "../../grid/range"
import { keyOf } from "../../plan/fields"
import { shownValue } from "../../plan/schema"
import { FIRST_FIELD, lastField } from "./columns"
import type { GridProps } from "./grid-props"
import type { GridCommands } from "./use-grid-commands"
import type { GridMovement } from "./use-grid-movement"
import type { GridScroll } from "./use-grid-scroll"
import type { GridSelection } from "./use-grid-selection"

interface Options {
  props: GridProps
  selection: GridSelection
  scroll: GridScroll
  movement: GridMovement
  commands: GridCommands
}

/** The handlers of clipboard events. */
export function gridClipboard({ props, selection, scroll, movement, commands }: Options) {
  const { canEdit, fields, selected, settings } = props
  const { positions } = props.lines
  const { editing, isMultiple, isOnNewRow, rect } = selection

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
      scroll.showNext(top)
      movement.focus({ id: top, column: FIRST_FIELD })
      commands.select({ id: top, field: FIRST_FIELD }, { id: bottom, field: lastField(fields) })
    })
    if (target === "below") return
    const [height, width] = [table.rows.length, table.rows[0]?.length ?? 1]
    if (commands.isRegrouping({ ...target, right: Math.max(target.right, target.left + width - 1) })) return commands.followActive()
    const isFilled = rowCount(target) % height === 0 && columnCount(target) % width === 0
    if (isFilled) return
    commands.selectRect({
      ...target,
      bottom: Math.min(positions.length - 1, target.top + height - 1),
      right: Math.min(fields.length - 1, target.left + width - 1),
    })
  }
  /** Copies the selected cells. Checked rows are copied if no more than one cell is selected. */
  const onCopy = (event: ClipboardEvent): Rect | null => {
    if (editing || !isInRow(event) || String(window.getSelection()) !== "") return null
    const rows = isMultiple ? [] : positions.filter((position) => selected.has(position.id))
    if (rows.length === 0 && !rect) return null
    const values =
      rows.length > 0
        ? rows.map((position) => fields.map((field) => shownValue(position, keyOf(field))))
        : valuesIn(positions, rect as Rect, fields)
    const { text, html } = toClipboard(values, settings)
    event.preventDefault()
    event.clipboardData.setData("text/plain", text)
    event.clipboardData.setData("text/html", html)
    return rows.length > 0 ? null : rect
  }
  const onCut = (event: ClipboardEvent) => {
    if (!canEdit) return
    const copied = onCopy(event)
    if (copied) commands.clear(copied, true)
  }
  return { onPaste, onCopy, onCut }
}

/** Keys and the clipboard of the grid apply to rows; controls in the header have their own. */
export const isInRow = ({ target }: SyntheticEvent): boolean => target instanceof Element && target.closest("[data-row]") !== null
