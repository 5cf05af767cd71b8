/** Plans what an edit of many positions changes. Pure: the caller applies the result in one change. */
import { FIELDS, type Field, type FieldKey, isAmountField, isMonthField } from "../plan/fields"
import { shiftMonth } from "../plan/month"
import { roundSum } from "../plan/query"
import { type Raise, raised } from "../plan/raise"
import type { FieldValue, Position } from "../plan/schema"
import { type CellChanges, cellName, changeCell, NOT_A_POSITION, noChanges } from "./cell-changes"

/** An edit of many positions: a value for one field, a raise of their budgets, or a shift of their months. */
export type BulkEdit =
  | { kind: "set"; field: Field; value: FieldValue }
  | { kind: "raise"; field: FieldKey; raise: Raise }
  | { kind: "shift"; months: number }

/** Plans an edit. Values that cannot be changed are refused with the reason, and the others are changed. */
export function bulkEdit(positions: readonly Position[], edit: BulkEdit): CellChanges {
  const changes = noChanges()
  for (const position of positions) {
    if (edit.kind === "set") changeCell(changes, position, edit.field, edit.value)
    else if (edit.kind === "raise") raiseBudget(changes, position, edit.field, edit.raise)
    else shiftMonths(changes, position, edit.months)
  }
  return changes
}

function raiseBudget(changes: CellChanges, position: Position, field: FieldKey, raise: Raise): void {
  const refuse = (reason: string) => changes.refusals.push({ cell: cellName(position, field), reason })
  const budget = isAmountField(field) ? position[field] : null
  if (position.invalidEntry !== undefined) return void refuse(NOT_A_POSITION)
  if (position.mistyped?.[field] !== undefined) return void refuse(`“${position.mistyped[field]}” is not a number.`)
  // A raise of the shown value would discard the others.
  if (position.conflicts?.[field]) return void refuse("Several people have set it. Choose a value first.")
  if (budget === null) return void refuse("It is unknown.")
  changeCell(changes, position, field, raised(budget, raise))
}

const MONTH_FIELDS = FIELDS.filter(isMonthField)

/** Shifts all months of a position, or none of them, so that it stays as long as it is. */
function shiftMonths(changes: CellChanges, position: Position, by: number): void {
  const refuse = (field: FieldKey, reason: string) => changes.refusals.push({ cell: cellName(position, field), reason })
  const [first] = MONTH_FIELDS
  if (!first) return
  if (position.invalidEntry !== undefined) return void refuse(first, NOT_A_POSITION)
  for (const field of MONTH_FIELDS) {
    if (position.mistyped?.[field] !== undefined) return void refuse(field, `“${position.mistyped[field]}” is not a month.`)
    if (position.conflicts?.[field]) return void refuse(field, "Several people have set it. Choose a value first.")
    const month = position[field]
    if (month !== null && by !== 0 && shiftMonth(month, by) === month) return void refuse(field, "There is no such month.")
  }
  if (MONTH_FIELDS.every((field) => position[field] === null)) return void refuse(first, "The position has no start and no end.")
  for (const field of MONTH_FIELDS) {
    const month = position[field]
    if (month !== null) changeCell(changes, position, field, shiftMonth(month, by))
  }
}

/** The sum of the budgets of positions after an edit. */
export function sumAfter(positions: readonly Position[], { cells }: Pick<CellChanges, "cells">): number {
  const next = new Map(cells.filter(({ field }) => field === "budget").map(({ id, value }) => [id, value]))
  return roundSum(
    positions.reduce((sum, { id, budget }) => {
      const value = next.has(id) ? next.get(id) : budget
      return sum + (typeof value === "number" ? value : 0)
    }, 0),
  )
}
