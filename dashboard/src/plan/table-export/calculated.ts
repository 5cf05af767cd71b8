/**
 * Columns of an export that are not fields of a position: the record of its approval, and its cost in the year of the plan.
 *
 * The name of a calculated column is in square brackets, and an import ignores it. An import also ignores the record of an approval: a user
 * who imports an approved position approves it.
 */
import { measure } from "../cost"
import type { Position } from "../schema"
import { monthsFrom } from "../year"
import type { ExportTable } from "./table"

export type CalculatedColumn = { name: string } & (
  | { kind: "amount"; read: (position: Position) => number | null }
  | { kind: "time"; read: (position: Position) => number | null }
  | { kind: "text"; read: (position: Position) => string }
)

const APPROVAL_COLUMNS: readonly CalculatedColumn[] = [
  { name: "approvedAt", kind: "time", read: ({ approval }) => approval?.at ?? null },
  { name: "approvedBudget", kind: "amount", read: ({ approval }) => approval?.budget ?? null },
  { name: "approvedBy", kind: "text", read: ({ approval }) => approval?.by ?? "" },
]

/** The cost in the twelve months from `yearStart`. Unknown for an unknown budget. */
function costColumn(yearStart: string): CalculatedColumn {
  const months = monthsFrom(yearStart)
  return {
    name: `[cost ${months[0]} to ${months.at(-1)}]`,
    kind: "amount",
    read: (position) => (position.budget === null ? null : measure([position], "thisYear", yearStart)),
  }
}

/** Whether the name of a column says that it is calculated and not stored in the plan. */
export const isCalculated = (name: string): boolean => name.startsWith("[")

const hasMonths = (position: Position): boolean => position.start !== null || position.end !== null

/** The columns that say something: approvals if there is one, the cost if a position starts or ends. */
export const calculatedColumns = ({ positions, yearStart }: ExportTable): CalculatedColumn[] => [
  ...(positions.some(({ approval }) => approval !== null) ? APPROVAL_COLUMNS : []),
  ...(positions.some(hasMonths) ? [costColumn(yearStart)] : []),
]
