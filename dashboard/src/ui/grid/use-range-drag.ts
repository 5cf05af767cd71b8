/** Drags of the mouse over the grid: selecting cells, whole rows, and filling. The page scrolls while the mouse is at its edge. */
import { type RefObject, useEffect, useRef } from "react"

/** Called with the row under the pointer, and its column if the pointer is over a cell. */
export interface DragHandlers {
  move: (row: number, column: string | null) => void
  /** `isCancelled`: the user pressed Escape. */
  end: (isCancelled: boolean) => void
}

interface Options {
  body: RefObject<HTMLElement | null>
  /** The row at a distance from the top of the body; the nearest one between rows, `null` without rows. */
  rowAt: (offset: number) => number | null
  /** Height of the sticky header, below which the page scrolls. */
  top: number
}

/** Distance from the edge of the window at which the page scrolls, and its speed in pixels per frame. */
const EDGE = 36
const MAX_SPEED = 32

/** Returns a function that starts a drag at a pointer event. */
export function useRangeDrag(options: Options): (handlers: DragHandlers) => void {
  const latest = useRef(options)
  latest.current = options
  const stop = useRef<(() => void) | null>(null)
  useEffect(() => () => stop.current?.(), [])

  return (handlers) => {
    stop.current?.()
    let pointer: { x: number; y: number } | null = null
    let frame = 0
    const update = () => {
      if (!pointer) return
      const { body, rowAt } = latest.current
      if (!body.current) return
      const row = rowAt(pointer.y - body.current.getBoundingClientRect().top)
      if (row === null) return
      const cell = document.elementFromPoint(pointer.x, pointer.y)?.closest<HTMLElement>("[data-column]")
      handlers.move(row, cell?.dataset.column ?? null)
    }
    const scroll = () => {
      frame = 0
      if (!pointer) return
      const { top } = latest.current
      const over = Math.max(0, pointer.y - (window.innerHeight - EDGE)) - Math.max(0, top + EDGE - pointer.y)
      if (over === 0) return
      window.scrollBy(0, Math.max(-MAX_SPEED, Math.min(MAX_SPEED, over)))
      update()
      frame = requestAnimationFrame(scroll)
    }
    const onMove = (event: PointerEvent) => {
      pointer = { x: event.clientX, y: event.clientY }
      update()
      frame ||= requestAnimationFrame(scroll)
    }
    const finish = (isCancelled: boolean) => {
      stop.current?.()
      handlers.end(isCancelled)
    }
    const onUp = () => finish(false)
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== "Escape") return
      event.stopPropagation()
      finish(true)
    }
    window.addEventListener("pointermove", onMove)
    window.addEventListener("pointerup", onUp)
    window.addEventListener("pointercancel", onUp)
    window.addEventListener("keydown", onKey, true)
    stop.current = () => {
      stop.current = null
      cancelAnimationFrame(frame)
      pointer = null
      window.removeEventListener("pointermove", onMove)
      window.removeEventListener("pointerup", onUp)
      window.removeEventListener("pointercancel", onUp)
      window.removeEventListener("keydown", onKey, true)
    }
  }
}
