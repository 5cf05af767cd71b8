/** Renders the visible lines only, measures where the list begins, and scrolls. */
import { defaultRangeExtractor, useWindowVirtualizer } from "@tanstack/react-virtual"
import { useEffect, useLayoutEffect, useRef, useState } from "react"
import { type GridLines, positionNear } from "../../grid/grid-lines"
import { useMediaQuery } from "../hooks"
import { lineId } from "./columns"
import { NEW_ROW } from "./NewRow"
import { NARROW_HEAD_HEIGHT, NARROW_ROW_HEIGHT, NARROW_SCREEN, ROW_HEIGHT } from "./row-size"
import type { GridSelection } from "./use-grid-selection"

interface Options {
  gridLines: GridLines
  hasNewRow: boolean
  selection: GridSelection
  /** A line of figures lies over the top of the window. */
  hasFiguresLine: boolean
}

export function useGridScroll({ gridLines, hasNewRow, selection, hasFiguresLine }: Options) {
  const { lines } = gridLines
  const { activeLine, isOnNewRow, lineOfId } = selection
  const body = useRef<HTMLDivElement>(null)
  const head = useRef<HTMLDivElement>(null)
  const [margin, setMargin] = useState(0)
  const [padding, setPadding] = useState(0)
  const isNarrow = useMediaQuery(NARROW_SCREEN)
  const size = isNarrow ? NARROW_ROW_HEIGHT : ROW_HEIGHT
  const headSize = isNarrow ? NARROW_HEAD_HEIGHT : ROW_HEIGHT

  const virtual = useWindowVirtualizer({
    count: lines.length + (hasNewRow ? 1 : 0),
    estimateSize: (at) => (lines[at]?.kind === "group" ? headSize : size),
    overscan: 2,
    scrollMargin: margin,
    // Rows below the sticky toolbar and header are hidden.
    scrollPaddingStart: padding,
    getItemKey: (at) => {
      const line = lines[at]
      return line === undefined ? NEW_ROW : lineId(line)
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
  }, [hasFiguresLine])

  /** A line to show as soon as it is in the list. */
  const awaited = useRef<string | null>(null)
  useLayoutEffect(() => {
    const at = lineOfId(awaited.current ?? "")
    if (at === undefined) return
    awaited.current = null
    virtual.scrollToIndex(at, { align: "auto" })
  })

  return {
    body,
    head,
    virtual,
    /** Distance of the list from the top of the page. */
    margin,
    /** Height of the sticky header. */
    padding,
    isNarrow,
    /** Height of a row, and of the head of a group. */
    size,
    headSize,
    showLine: (at: number) => virtual.scrollToIndex(at, { align: "auto" }),
    /** Scrolls to a position with the next rendering that contains it. */
    showNext: (id: string | undefined) => {
      awaited.current = id ?? null
    },
    /** Scrolls the row with the focus into view. */
    showFocus: () => {
      keepFocusInView(body.current, head.current, null)
      showSideways(document.activeElement)
    },
    /** The position at a distance from the top of the body. */
    rowAt: (offset: number): number | null =>
      positionNear(gridLines, virtual.getVirtualItemForOffset(offset + margin)?.index ?? lines.length),
  }
}

export type GridScroll = ReturnType<typeof useGridScroll>

/** Scrolls the page sideways to a cell, if the list is wider than the window. */
export function showSideways(cell: Element | null): void {
  if (!cell?.closest("[data-row]")) return
  const { left, right } = cell.getBoundingClientRect()
  const start = fixedEnd(cell)
  const beyond = right - document.documentElement.clientWidth
  if (left < start) window.scrollBy(left - start - EDGE, 0)
  else if (beyond > 0) window.scrollBy(Math.min(left - start, beyond + EDGE), 0)
}

/** Where the columns end that stay in view while the page scrolls sideways; 0 for a cell of these columns. */
function fixedEnd(cell: Element): number {
  const column = cell.closest(".cell")
  const first = cell.closest("[data-row]")?.querySelector(".cell-designation")
  if (!first || !column || column === first || column.matches(".cell-select")) return 0
  return getComputedStyle(first).position === "sticky" ? Math.max(0, first.getBoundingClientRect().right) : 0
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
