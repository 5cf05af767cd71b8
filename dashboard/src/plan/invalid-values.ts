/** Values that are not valid for their field: somebody wrote them with another program. They are shown and not counted. */
import type { PlanColumns } from "./columns"
import { type Field, keyOf } from "./fields"
import type { Position } from "./schema"
import { truncate } from "./text"

/** Most values that are listed. */
const MAX_LISTED = 100

/** A value that is not valid. */
export interface InvalidValue {
  /** Id of the position. */
  id: string
  designation: string
  /** The field or column; `null` if the whole entry is not a position. */
  field: Field | null
  /** The value as text, shortened. */
  text: string
}

export interface InvalidValues {
  /** The first of them, in the order of the positions and columns. */
  listed: readonly InvalidValue[]
  /** Number of those that are not listed. */
  others: number
}

/** The values of positions that are not valid. */
export function invalidValues(positions: readonly Position[], columns: PlanColumns): InvalidValues {
  const listed: InvalidValue[] = []
  let others = 0
  const add = ({ id, designation }: Position, field: Field | null, text: string) => {
    if (listed.length < MAX_LISTED) listed.push({ id, designation, field, text: truncate(text) })
    else others += 1
  }
  for (const position of positions) {
    if (position.invalidEntry !== undefined) add(position, null, position.invalidEntry)
    // Most positions have none.
    if (position.mistyped === undefined) continue
    for (const field of columns.fields) {
      const text = position.mistyped[keyOf(field)]
      if (text !== undefined) add(position, field, text)
    }
  }
  return { listed, others }
}
