/** Plans what an edit of many positions changes. Pure: the caller applies the result in one change. */
import { type FieldKey, isAmountField } from "../plan/fields"
import { roundSum } from "../plan/query"
import { type Raise, raised } from "../plan/raise"
import type { FieldValue, Position } from "../plan/schema"
import { type CellChanges, cellName, changeCell, NOT_A_POSITION, noChanges } from "./cell-changes"

/** An edit of many positions: a value for one field, or a raise of their budgets. */
export type BulkEdit = { kind: "set"; field: FieldKey; value: FieldValue } | { kind: "raise"; field: FieldKey; raise: Raise }

/** Plans an edit. Values that cannot be changed are refused with the reason, and the others are changed. */
export function bulkEdit(positions: readonly Position[], edit: BulkEdit): CellChanges {
  const changes = noChanges()
  for (const position of positions) {
    if (edit.kind === "set") changeCell(changes, position, edit.field, edit.value)
    else raiseBudget(changes, position, edit.field, edit.raise)
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
