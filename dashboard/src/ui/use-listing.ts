/** The positions that the list shows: filtered, sorted and grouped. */
import { useDeferredValue, useMemo, useState } from "react"
import { type GridLines, groupedLines, plainLines } from "../grid/grid-lines"
import type { PlanColumns } from "../plan/columns"
import { isGroupField } from "../plan/fields"
import { groupRows, type PositionGroup } from "../plan/grouping"
import { filterPositions, PositionSorter } from "../plan/query"
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

/** `view`: one that names only columns of the plan. `editedId`: the position that is being edited. It stays in the list. */
export function useListing(positions: readonly Position[], columns: PlanColumns, view: View, editedId: string | null): Listing {
  const { filter, sort, group, collapsed } = view
  // Typing has priority over filtering.
  const deferredFilter = useDeferredValue(filter)
  const [sorter] = useState(() => new PositionSorter())
  const shown = useMemo(
    () => sorter.sort(filterPositions(positions, deferredFilter, editedId, columns), sort, columns),
    [sorter, positions, columns, deferredFilter, editedId, sort],
  )
  const groups = useMemo(() => {
    const field = group && columns.field(group)
    return field && isGroupField(field) ? groupRows(shown, field, sort) : null
  }, [shown, columns, group, sort])
  const lines = useMemo(
    () => (groups ? groupedLines(groups, collapsed, editedId) : plainLines(shown)),
    [groups, shown, collapsed, editedId],
  )
  return { shown, groups, lines }
}
