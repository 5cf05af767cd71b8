import { memo, useMemo } from "react"
import type { PlanColumns } from "../plan/columns"
import { type GroupField, isChoiceField, keyOf } from "../plan/fields"
import { distinctGroups, type Group } from "../plan/query"
import type { Position } from "../plan/schema"

/** The values of the fields that group positions. */
export const fieldGroups = (
  columns: PlanColumns,
  positions: readonly Position[],
): readonly { field: GroupField; groups: readonly Group[] }[] =>
  columns.groupFields.map((field) => ({ field, groups: distinctGroups(positions, field) }))

interface Props {
  columns: PlanColumns
  positions: readonly Position[]
}

/** The values of fields that inputs suggest. Choices have lists of their own. */
export const Suggestions = memo(function Suggestions({ columns, positions }: Props) {
  const fields = useMemo(
    () =>
      columns.groupFields.filter((field) => !isChoiceField(field)).map((field) => ({ field, groups: distinctGroups(positions, field) })),
    [columns, positions],
  )
  return fields.map(({ field, groups }) => (
    <datalist key={keyOf(field)} id={`all-${keyOf(field)}`}>
      {groups.map(({ key, name }) => (
        <option key={key} value={name} />
      ))}
    </datalist>
  ))
})
