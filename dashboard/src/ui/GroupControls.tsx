import { ChevronsDownUp, ChevronsUpDown } from "lucide-react"
import { fieldLabel, GROUP_FIELDS, type GroupKey } from "../plan/fields"
import type { PositionGroup } from "../plan/grouping"

interface Props {
  grouping: GroupKey | null
  groups: readonly PositionGroup[] | null
  collapsed: ReadonlySet<string>
  onGroup: (field: GroupKey | null) => void
  /** `keys`: the folded names of all collapsed groups. */
  onCollapsed: (keys: ReadonlySet<string>) => void
}

/** Chooses the field that groups the list; collapses and expands all groups. */
export function GroupControls({ grouping, groups, collapsed, onGroup, onCollapsed }: Props) {
  const areAllCollapsed = groups?.every(({ key }) => collapsed.has(key)) ?? false
  return (
    <span className="group-controls">
      <select
        aria-label="Group by"
        className={grouping === null ? "choice-all" : ""}
        value={grouping ?? ""}
        onChange={(event) => onGroup(GROUP_FIELDS.find((field) => field === event.target.value) ?? null)}
      >
        <option value="">No groups</option>
        {GROUP_FIELDS.map((field) => (
          <option key={field} value={field}>
            By {fieldLabel(field).toLowerCase()}
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
