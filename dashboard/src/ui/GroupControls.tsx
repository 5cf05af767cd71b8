import { ChevronsDownUp, ChevronsUpDown } from "lucide-react"
import { fieldNoun, type GroupColumnKey, keyOf } from "../plan/fields"
import type { PositionGroup } from "../plan/grouping"
import { useColumns } from "./columns-context"

interface Props {
  grouping: GroupColumnKey | null
  groups: readonly PositionGroup[] | null
  collapsed: ReadonlySet<string>
  onGroup: (field: GroupColumnKey | null) => void
  /** `keys`: the folded names of all collapsed groups. */
  onCollapsed: (keys: ReadonlySet<string>) => void
}

/** Chooses the field that groups the list; collapses and expands all groups. */
export function GroupControls({ grouping, groups, collapsed, onGroup, onCollapsed }: Props) {
  const fields = useColumns().groupFields
  const areAllCollapsed = groups?.every(({ key }) => collapsed.has(key)) ?? false
  return (
    <span className="group-controls">
      <select
        aria-label="Group by"
        className={grouping === null ? "choice-all" : ""}
        value={grouping ?? ""}
        onChange={(event) => onGroup((event.target.value || null) as GroupColumnKey | null)}
      >
        <option value="">No groups</option>
        {fields.map((field) => (
          <option key={keyOf(field)} value={keyOf(field)}>
            By {fieldNoun(field)}
          </option>
        ))}
      </select>
      {groups && groups.length > 0 && (
        <button
          type="button"
          className="icon"
          aria-label={areAllCollapsed ? "Expand all groups" : "Collapse all groups"}
          title={areAllCollapsed ? "Expand all groups" : "Collapse all groups"}
          onClick={() => onCollapsed(areAllCollapsed ? new Set() : new Set(groups.map(({ key }) => key)))}
        >
          {areAllCollapsed ? <ChevronsUpDown aria-hidden /> : <ChevronsDownUp aria-hidden />}
        </button>
      )}
    </span>
  )
}
