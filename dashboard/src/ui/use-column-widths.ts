/** Widths of the columns that the user has resized. */
import { useCallback, useState } from "react"
import { type ColumnWidths, readColumnWidths, saveColumnWidths } from "../sync/column-widths"
import type { PlanStore } from "../sync/plan-store"

export interface ColumnSizes {
  widths: ColumnWidths
  /** `width`: in rem; `null` for the width that fits the page. */
  resize: (key: string, width: number | null) => void
  /** Resets all columns to the widths that fit the page. */
  reset: () => void
}

export function useColumnWidths(store: PlanStore): ColumnSizes {
  const { owner } = store.syncStatus
  const [widths, setWidths] = useState(() => readColumnWidths(owner, store.id))
  const change = useCallback(
    (next: ColumnWidths) => {
      saveColumnWidths(owner, store.id, next)
      setWidths(next)
    },
    [owner, store],
  )
  return {
    widths,
    resize: (key, width) => {
      const next = new Map(widths)
      if (width === null) next.delete(key)
      else next.set(key, width)
      change(next)
    },
    reset: () => change(new Map()),
  }
}
