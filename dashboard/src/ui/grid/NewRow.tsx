import { Plus } from "lucide-react"

/** Id of the row below the last position, where positions are added. */
export const NEW_ROW = "new row"

interface Props {
  rowIndex: number
  offset: number
  size: number
  isActive: boolean
  onFocus: () => void
  onAdd: () => void
}

/** The row below the last position. A table that is pasted here becomes new positions. */
export function NewRow({ rowIndex, offset, size, isActive, onFocus, onAdd }: Props) {
  return (
    <div
      role="row"
      aria-rowindex={rowIndex}
      className="row new-row"
      data-row={NEW_ROW}
      style={{ transform: `translateY(${offset}px)`, blockSize: `${size}px` }}
    >
      <span role="gridcell" className="cell">
        <button type="button" tabIndex={isActive ? 0 : -1} data-cell={`${NEW_ROW}/select`} onFocus={onFocus} onClick={onAdd}>
          <Plus aria-hidden /> Add a position, or paste rows here
        </button>
      </span>
    </div>
  )
}
