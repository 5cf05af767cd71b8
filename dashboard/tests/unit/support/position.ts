import { emptyValue, type FieldValues, fieldValues } from "../../../src/plan/fields"
import type { Position } from "../../../src/plan/schema"
import type { ExportTable } from "../../../src/plan/table-export"

/** The fields of a position; those that are not given are empty. */
export const newPosition = (given: Partial<FieldValues>): FieldValues => ({
  ...fieldValues(emptyValue),
  ...given,
})

/** A position as the page shows it. */
export const shownPosition = (given: Partial<Position>): Position => ({
  ...newPosition({}),
  id: "a",
  createdAt: null,
  updatedAt: null,
  updatedBy: "",
  approval: null,
  conflicts: null,
  ...given,
})

/** All positions of a plan, as a table to export. */
export const exportTable = (positions: Position[], extras: ExportTable["extras"] = new Map()): ExportTable => ({
  positions,
  own: [],
  extras,
  total: positions.length,
  scope: "All positions",
  yearStart: "2027-04",
  at: 0,
})
