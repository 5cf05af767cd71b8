/** The selected cells of each row. */
import { useMemo } from "react"
import type { Rect } from "../../grid/range"
import type { RowRange } from "./row-actions"

interface Options {
  rect: Rect | null
  /** Rows that are filled when the mouse button is released. */
  fillTarget: Rect | null
  /** More than one cell is selected. */
  isMultiple: boolean
  /** The last cell has the handle that fills. */
  hasHandle: boolean
}

/** Returns the selected cells of the row with an index. Rows with the same cells share one object. */
export function useRowRanges({ rect, fillTarget, isMultiple, hasHandle }: Options): (index: number) => RowRange | null {
  return useMemo(() => {
    const variants = new Map<string, RowRange>()
    const shared = (range: RowRange): RowRange => {
      const key = JSON.stringify(range)
      const known = variants.get(key)
      if (!known) variants.set(key, range)
      return known ?? range
    }
    return (index) => {
      for (const [of, isFill] of [
        [rect, false],
        [fillTarget, true],
      ] as const) {
        if (!of || index < of.top || index > of.bottom) continue
        const { left, right, top, bottom } = of
        return shared({
          left,
          right,
          isTop: index === top,
          isBottom: index === bottom,
          isMultiple: isFill || isMultiple,
          isFill,
          hasHandle: hasHandle && !isFill,
        })
      }
      return null
    }
  }, [rect, fillTarget, isMultiple, hasHandle])
}
