import { ChevronDown, ChevronRight } from "lucide-react"
import type { CSSProperties } from "react"
import type { GroupLine } from "../../grid/grid-lines"
import { countPositions } from "../../grid/range"
import { type DepartmentUse, describeUse } from "../../plan/department-budgets"
import { type Field, fieldNoun, type GroupField, isAmountField } from "../../plan/fields"
import { formatSum } from "../../plan/format"
import { describeUnknownBudgets } from "../../plan/query"
import { type Column, FIRST_FIELD } from "./columns"

/** The part of a head that collapses it. */
export const GROUP_PART = "group"

/** Text beside the sum of a group. */
export interface GroupNote {
  text: string
  /** The group has exceeded its budget. */
  isOver: boolean
}

interface Props {
  line: GroupLine
  /** Row index for assistive technology; the header is row 1. */
  rowIndex: number
  offset: number
  size: number
  /** The columns that the list shows. */
  fields: readonly Field[]
  columnCount: number
  /** The column with the focus; `null` if the head is not active. */
  active: Column | null
  selected: ReadonlySet<string>
  canEdit: boolean
  /** The field of the groups. */
  grouping: GroupField | null
  note: GroupNote | null
  onFocus: (column: Column) => void
  onToggle: () => void
  onCheck: () => void
}

/** The name of a group; positions without one have a group of their own. */
export const groupName = (name: string, field: GroupField | null): string => name || `No ${fieldNoun(field ?? "")}`

/** Number of columns that the name of a group takes if the list has no column for its sum. */
const NAME_SPAN = 2

/** Head of a group: its name, number of positions and sum. The sum stands in the column of the budgets. */
export function GroupRow({
  line,
  rowIndex,
  offset,
  size,
  fields,
  columnCount,
  active,
  selected,
  canEdit,
  grouping,
  note,
  ...handlers
}: Props) {
  const { id, group, isCollapsed } = line
  const name = groupName(group.name, grouping)
  const chosen = group.positions.filter((position) => selected.has(position.id)).length
  const unknown = describeUnknownBudgets(group.positions)
  const Arrow = isCollapsed ? ChevronRight : ChevronDown
  const amount = fields.findIndex(isAmountField)
  const hasSum = amount > 0
  const span = hasSum ? amount : Math.min(NAME_SPAN, fields.length)
  const isOnCheckbox = canEdit && active === "select"
  return (
    <div
      role="row"
      aria-rowindex={rowIndex}
      className="row group-row"
      data-row={id}
      style={{ transform: `translateY(${offset}px)`, blockSize: `${size}px` }}
    >
      <span role="gridcell" className="cell cell-select">
        {canEdit && (
          <input
            type="checkbox"
            aria-label={`Select all positions of ${name}`}
            checked={chosen === group.count}
            ref={(box) => {
              if (box) box.indeterminate = chosen > 0 && chosen < group.count
            }}
            tabIndex={isOnCheckbox ? 0 : -1}
            data-cell={`${id}/select`}
            onFocus={() => handlers.onFocus("select")}
            onChange={handlers.onCheck}
          />
        )}
      </span>
      <span role="gridcell" aria-colspan={span} className="cell cell-group" style={{ "--span": span } as CSSProperties}>
        <button
          type="button"
          aria-expanded={!isCollapsed}
          tabIndex={active !== null && !isOnCheckbox ? 0 : -1}
          data-cell={`${id}/${GROUP_PART}`}
          onFocus={() => handlers.onFocus(active === null || active === "select" ? FIRST_FIELD : active)}
          onClick={handlers.onToggle}
        >
          <Arrow aria-hidden />
          <span className="group-name">{name}</span> <span className="group-count">{countPositions(group.count)}</span>
        </button>
      </span>
      {hasSum && (
        <span role="gridcell" className="cell cell-amount group-sum">
          {formatSum(group.budget)}
        </span>
      )}
      <span
        role="gridcell"
        aria-colspan={columnCount - span - (hasSum ? 2 : 1)}
        className="cell group-note"
        style={{ "--start": span + (hasSum ? 3 : 2) } as CSSProperties}
      >
        {!hasSum && <span className="group-sum">{formatSum(group.budget)}</span>}
        {note && <span className={note.isOver ? "over" : undefined}>{note.text}</span>}
        {unknown && <span>{unknown}</span>}
      </span>
    </div>
  )
}

/** The notes of groups: what departments use of their budgets. */
export function groupNotesOf(
  grouping: GroupField | null,
  departments: readonly DepartmentUse[],
  isFiltered: boolean,
): ReadonlyMap<string, GroupNote> {
  const uses = grouping === "department" ? departments.filter(({ budget }) => budget !== null) : []
  return new Map(uses.map((use) => [use.key, { text: describeUse(use, isFiltered), isOver: (use.left ?? 0) < 0 }]))
}
