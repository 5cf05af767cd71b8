import type { RefObject } from "react"
import { type Rect, rowCount } from "../../grid/range"
import { type ColumnKey, isAmountField, keyOf } from "../../plan/fields"
import { unitLabel } from "../../plan/format"
import { ColumnHeader } from "./ColumnHeader"
import type { GridProps } from "./grid-props"

interface Props
  extends Pick<GridProps, "fields" | "listed" | "selected" | "canEdit" | "sort" | "settings" | "onSelected" | "onSort" | "onResize"> {
  head: RefObject<HTMLDivElement | null>
  /** The selected cells, if they are whole columns; otherwise `null`. */
  columns: Rect | null
  onSelectColumn: (field: ColumnKey, isExtended: boolean) => void
}

/** The selected cells, if they are whole columns of a list. A single cell is none. */
export const wholeColumns = (rect: Rect | null, rows: number, isMultiple: boolean): Rect | null =>
  rect !== null && isMultiple && rowCount(rect) === rows ? rect : null

/** The header of the grid: names of the columns, sorting, and a checkbox for all rows. */
export function GridHead({ head, fields, listed, selected, canEdit, columns, settings, onSelected, onSelectColumn, ...rest }: Props) {
  const areAllSelected = listed.length > 0 && listed.every((position) => selected.has(position.id))
  return (
    <div role="row" aria-rowindex={1} className="grid-head" ref={head}>
      <span role="columnheader" className="cell cell-select">
        {canEdit ? (
          <input
            type="checkbox"
            aria-label="Select all positions in the list"
            checked={areAllSelected}
            ref={(box) => {
              if (box) box.indeterminate = !areAllSelected && selected.size > 0
            }}
            onChange={() => onSelected(areAllSelected ? new Set() : new Set(listed.map((position) => position.id)))}
          />
        ) : (
          <span className="hidden">Row</span>
        )}
      </span>
      {fields.map((field, at) => (
        <ColumnHeader
          key={keyOf(field)}
          {...rest}
          column={field}
          isSelected={columns !== null && columns.left <= at && at <= columns.right}
          onSelect={onSelectColumn}
          suffix={isAmountField(field) ? unitLabel(settings.currency, settings.unit) : ""}
        />
      ))}
      <ColumnHeader column="updatedAt" {...rest} isSelected={false} onSelect={onSelectColumn} suffix="" />
      <span role="columnheader" className="cell cell-actions">
        <span className="hidden">Actions</span>
      </span>
    </div>
  )
}
