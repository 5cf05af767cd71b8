import { ArrowDown, ArrowUp, ArrowUpDown } from "lucide-react"
import { type KeyboardEvent, type MouseEvent, type PointerEvent, useRef } from "react"
import { type ColumnKey, type Field, fieldLabel, fieldNoun, isNumeric, keyOf } from "../../plan/fields"
import type { Sort } from "../../plan/query"
import { fieldClasses } from "./columns"

interface Props {
  /** A column of the list, or the column of the last change. */
  column: Field | "updatedAt"
  /** Unit of the amounts. */
  suffix: string
  sort: Sort | null
  /** All cells of the column are selected. */
  isSelected: boolean
  onSort: (sort: Sort | null) => void
  /** Selects the column. `isExtended`: extends the selection to it. */
  onSelect: (field: ColumnKey, isExtended: boolean) => void
  /** `width`: in rem; `null` for the width that fits the page. */
  onResize: (field: ColumnKey, width: number | null) => void
}

/** Widths of a column in rem. */
const [LEAST_WIDTH, MOST_WIDTH, STEP] = [3, 40, 1]

/** Head of a column. A click selects the column; its button cycles through ascending, descending and unsorted. */
export function ColumnHeader({ column, suffix, sort, isSelected, onSort, onSelect, onResize }: Props) {
  const head = useRef<HTMLSpanElement>(null)
  const field = column === "updatedAt" ? null : column
  const key = field === null ? "updatedAt" : keyOf(field)
  const [label, noun] = field === null ? ["Last change", "last change"] : [fieldLabel(field), fieldNoun(field)]
  const isSorted = sort?.key === key
  const isAscendingFirst = field !== null && !isNumeric(field)
  const next = (): Sort | null => {
    if (!isSorted) return { key, ascending: isAscendingFirst }
    return sort.ascending === isAscendingFirst ? { key, ascending: !isAscendingFirst } : null
  }
  const Arrow = !isSorted ? ArrowUpDown : sort.ascending ? ArrowUp : ArrowDown
  const onClick = (event: MouseEvent) => {
    if (field !== null && !(event.target as Element).closest("button, .resize")) onSelect(keyOf(field), event.shiftKey)
  }
  /** Sets the width in pixels. */
  const resize = (pixels: number) => {
    const rem = Number.parseFloat(getComputedStyle(document.documentElement).fontSize)
    if (field !== null) onResize(keyOf(field), Math.round(Math.max(LEAST_WIDTH, Math.min(MOST_WIDTH, pixels / rem)) * 100) / 100)
  }
  const onKeyDown = (event: KeyboardEvent) => {
    const by = event.key === "ArrowRight" ? STEP : event.key === "ArrowLeft" ? -STEP : 0
    if (field === null || by === 0 || !event.shiftKey || event.ctrlKey || event.metaKey || event.altKey) return
    event.preventDefault()
    resize((head.current?.offsetWidth ?? 0) + by * Number.parseFloat(getComputedStyle(document.documentElement).fontSize))
  }
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Ctrl+Space in a cell selects its column
    <span
      ref={head}
      role="columnheader"
      className={`${field === null ? "cell cell-updatedAt" : fieldClasses(field)}${isSelected ? " head-selected" : ""}${isSorted ? " sorted" : ""}`}
      aria-sort={isSorted ? (sort.ascending ? "ascending" : "descending") : "none"}
      onClick={onClick}
    >
      <span className="head-label" title={label}>
        {label}
        {suffix && <span className="unit"> {suffix}</span>}
      </span>
      <button
        type="button"
        className="sort"
        aria-label={`Sort by ${noun}`}
        aria-keyshortcuts={field === null ? undefined : "Shift+ArrowLeft Shift+ArrowRight"}
        onClick={() => onSort(next())}
        onKeyDown={onKeyDown}
      >
        <span className="sort-label" aria-hidden>
          {label}
        </span>
        <Arrow aria-hidden />
      </button>
      {field !== null && <ResizeHandle head={head} onResize={resize} onReset={() => onResize(keyOf(field), null)} />}
    </span>
  )
}

interface HandleProps {
  head: { readonly current: HTMLElement | null }
  /** Receives the width in pixels while the mouse drags. */
  onResize: (pixels: number) => void
  onReset: () => void
}

/** The edge of a column, which the mouse drags. A double click resets the width. With the keyboard, Shift and arrows do the same. */
function ResizeHandle({ head, onResize, onReset }: HandleProps) {
  const start = useRef<{ x: number; width: number } | null>(null)
  const onPointerDown = (event: PointerEvent<HTMLSpanElement>) => {
    if (event.button !== 0 || !head.current) return
    event.preventDefault()
    event.currentTarget.setPointerCapture(event.pointerId)
    start.current = { x: event.clientX, width: head.current.offsetWidth }
  }
  const onPointerMove = (event: PointerEvent) => {
    if (start.current) onResize(start.current.width + event.clientX - start.current.x)
  }
  const end = () => {
    start.current = null
  }
  return (
    <span
      className="resize"
      aria-hidden
      onPointerDown={onPointerDown}
      onPointerMove={onPointerMove}
      onPointerUp={end}
      onPointerCancel={end}
      onDoubleClick={onReset}
    />
  )
}
