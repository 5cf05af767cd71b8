/** Where a column goes when it is moved. The fields of a position keep their places; the columns of the plan lie between or after them. */
import { orderOf, type PlanColumns } from "./columns"
import { type Field, isOwnColumn, keyOf, type OwnKey } from "./fields"
import type { ColumnOrders } from "./own-columns"

/** The place of a new column: after all others. */
export const lastOrder = ({ fields }: PlanColumns): number => Math.max(...fields.map(orderOf)) + 1

/** Whether a column can be moved by one place. No column comes before the first one. */
export function canMove({ fields }: PlanColumns, key: OwnKey, by: -1 | 1): boolean {
  const to = fields.findIndex((field) => keyOf(field) === key) + by
  return to > 0 && to < fields.length
}

/** Smaller differences are not divided any further. */
const LEAST_GAP = 1e-6

/** The new places of columns after one of them has moved by one place; usually only its own. */
export function ordersAfterMove(columns: PlanColumns, key: OwnKey, by: -1 | 1): ColumnOrders {
  if (!canMove(columns, key, by)) return []
  const fields = [...columns.fields]
  const from = fields.findIndex((field) => keyOf(field) === key)
  const [moved] = fields.splice(from, 1)
  if (!moved) return []
  const at = from + by
  fields.splice(at, 0, moved)
  const [before, after] = [fields[at - 1], fields[at + 1]]
  const low = before ? orderOf(before) : 0
  const high = after ? orderOf(after) : low + 2
  if (high - low > LEAST_GAP) return [{ key, order: (low + high) / 2 }]
  return spread(fields, at)
}

/** Distributes the columns of the plan around an index evenly between the two fields that enclose them. */
function spread(fields: readonly Field[], at: number): ColumnOrders {
  let [first, last] = [at, at]
  while (first > 0 && isOwnColumn(fields[first - 1] as Field)) first -= 1
  while (last < fields.length - 1 && isOwnColumn(fields[last + 1] as Field)) last += 1
  const run = fields.slice(first, last + 1).filter(isOwnColumn)
  const low = first > 0 ? orderOf(fields[first - 1] as Field) : 0
  const next = fields[last + 1]
  const high = next ? orderOf(next) : low + run.length + 1
  return run.map(({ key }, index) => ({ key, order: low + ((high - low) * (index + 1)) / (run.length + 1) }))
}
