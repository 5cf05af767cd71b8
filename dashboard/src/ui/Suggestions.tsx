import { type GroupField, isChoiceField, keyOf } from "../plan/fields"
import type { Group } from "../plan/query"

/** The values of fields that inputs suggest. Choices have lists of their own. */
export function Suggestions({ fields }: { fields: readonly { field: GroupField; groups: readonly Group[] }[] }) {
  return fields
    .filter(({ field }) => !isChoiceField(field))
    .map(({ field, groups }) => (
      <datalist key={keyOf(field)} id={`all-${keyOf(field)}`}>
        {groups.map(({ key, name }) => (
          <option key={key} value={name} />
        ))}
      </datalist>
    ))
}
