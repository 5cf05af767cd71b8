import { ArrowDown, ArrowUp, ArrowUpDown } from "lucide-react"
import type { MouseEvent } from "react"
import { type FieldKey, fieldLabel, isAmountField } from "../../plan/fields"
import type { Sort } from "../../plan/query"
import { fieldClasses } from "./columns"

type HeaderColumn = FieldKey | "updatedAt"

interface Props {
  column: HeaderColumn
  /** Unit of the amounts. */
  suffix: string
  sort: Sort | null
  /** All cells of the column are selected. */
  isSelected: boolean
  onSort: (sort: Sort | null) => void
  /** Selects the column. `isExtended`: extends the selection to it. `null` for a column that is not a field. */
  onSelect: ((field: FieldKey, isExtended: boolean) => void) | null
}

const columnLabel = (column: HeaderColumn): string => (column === "updatedAt" ? "Last change" : fieldLabel(column))

/** Head of a column. A click selects the column; its button cycles through ascending, descending and unsorted. */
export function ColumnHeader({ column, suffix, sort, isSelected, onSort, onSelect }: Props) {
  const isSorted = sort?.key === column
  const isAscendingFirst = column !== "updatedAt" && !isAmountField(column)
  const next = (): Sort | null => {
    if (!isSorted) return { key: column, ascending: isAscendingFirst }
    return sort.ascending === isAscendingFirst ? { key: column, ascending: !isAscendingFirst } : null
  }
  const Arrow = !isSorted ? ArrowUpDown : sort.ascending ? ArrowUp : ArrowDown
  const onClick = (event: MouseEvent) => {
    if (column !== "updatedAt" && !(event.target as Element).closest("button")) onSelect?.(column, event.shiftKey)
  }
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Ctrl+Space in a cell selects its column
    <span
      role="columnheader"
      className={`cell cell-${column}${column === "updatedAt" ? "" : fieldClasses(column)}${isSelected ? " head-selected" : ""}${isSorted ? " sorted" : ""}`}
      aria-sort={isSorted ? (sort.ascending ? "ascending" : "descending") : "none"}
      onClick={onClick}
    >
      <span className="head-label">
        {columnLabel(column)}
        {suffix && <span className="unit"> {suffix}</span>}
      </span>
      <button type="button" className="sort" aria-label={`Sort by ${columnLabel(column).toLowerCase()}`} onClick={() => onSort(next())}>
        <span className="sort-label" aria-hidden>
          {columnLabel(column)}
        </span>
        <Arrow aria-hidden />
      </button>
    </span>
  )
}
