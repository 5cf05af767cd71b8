import { expect, it } from "vitest"
import { canMove, lastOrder, ordersAfterMove } from "../../src/plan/column-order"
import { PlanColumns } from "../../src/plan/columns"
import { keyOf, type OwnKey } from "../../src/plan/fields"
import type { PlanColumn } from "../../src/plan/own-columns"
import { planColumn } from "./support/columns"

const keys = (columns: PlanColumns) => columns.fields.map(keyOf)
const [a, b, c] = ["a", "b", "c"] as OwnKey[] as [OwnKey, OwnKey, OwnKey]

/** The columns after a move. */
function moved(columns: PlanColumns, key: OwnKey, by: -1 | 1): PlanColumns {
  const orders = new Map(ordersAfterMove(columns, key, by).map((change) => [change.key, change.order]))
  return new PlanColumns(columns.all.map((column): PlanColumn => ({ ...column, order: orders.get(column.key) ?? column.order })))
}

it("columns of the plan come after the fields, in their order", () => {
  const columns = new PlanColumns([planColumn("b", { order: 9 }), planColumn("a", { order: 8 }), planColumn("c", { isDeleted: true })])
  expect(keys(columns).slice(-3)).toEqual(["end", "a", "b"])
  expect(lastOrder(columns)).toBe(10)
  expect(lastOrder(new PlanColumns([]))).toBe(8)
})

it("a column moves between fields, and back", () => {
  let columns = new PlanColumns([planColumn("a", { order: 8 })])
  for (let step = 0; step < 6; step += 1) columns = moved(columns, a, -1)
  expect(keys(columns).slice(0, 3)).toEqual(["designation", "a", "department"])
  expect(canMove(columns, a, -1)).toBe(false)
  expect(ordersAfterMove(columns, a, -1)).toEqual([])
  for (let step = 0; step < 6; step += 1) columns = moved(columns, a, 1)
  expect(keys(columns).at(-1)).toBe("a")
  expect(canMove(columns, a, 1)).toBe(false)
})

it("columns that two people added at once can be moved past each other", () => {
  let columns = new PlanColumns([planColumn("a", { order: 8 }), planColumn("b", { order: 8 }), planColumn("c", { order: 8 })])
  columns = moved(columns, c, -1)
  expect(keys(columns).slice(-3)).toEqual(["a", "c", "b"])
  columns = moved(columns, a, 1)
  expect(keys(columns).slice(-3)).toEqual(["c", "a", "b"])
})

it("a place is found however often columns are moved", () => {
  let columns = new PlanColumns([planColumn("a", { order: 8 }), planColumn("b", { order: 9 })])
  for (let step = 0; step < 200; step += 1) {
    columns = moved(columns, step % 2 === 0 ? a : b, 1)
    expect(keys(columns).slice(-2)).toEqual(step % 2 === 0 ? ["b", "a"] : ["a", "b"])
  }
})
