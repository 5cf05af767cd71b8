/** The positions that the list shows: filtered, sorted and grouped. */
import { useDeferredValue, useMemo } from "react"
import { type GridLines, groupedLines, plainLines } from "../grid/grid-lines"
import { groupRows, type PositionGroup } from "../plan/grouping"
import { filterPositions, sortPositions } from "../plan/query"
import type { Position } from "../plan/schema"
import type { View } from "../plan/view"

export interface Listing {
  /** The positions that match the filter, sorted. */
  shown: readonly Position[]
  /** The groups of the list; `null` without groups. */
  groups: readonly PositionGroup[] | null
  /** The lines of the grid. Its positions are those outside collapsed groups. */
  lines: GridLines
}

/** `editedId`: the position that is being edited. It stays in the list. */
export function useListing(positions: readonly Position[], { filter, sort, group, collapsed }: View, editedId: string | null): Listing {
  // Typing has priority over filtering.
  const deferredFilter = useDeferredValue(filter)
  const shown = useMemo(
    () => sortPositions(filterPositions(positions, deferredFilter, editedId), sort),
    [positions, deferredFilter, editedId, sort],
  )
  const groups = useMemo(() => group && groupRows(shown, group, sort), [shown, group, sort])
  const lines = useMemo(
    () => (groups ? groupedLines(groups, collapsed, editedId) : plainLines(shown)),
    [groups, shown, collapsed, editedId],
  )
  return { shown, groups, lines }
}
