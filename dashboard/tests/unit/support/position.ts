import { emptyValue, type FieldValues, fieldValues } from "../../../src/plan/fields"
import type { Position } from "../../../src/plan/schema"

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
  conflicts: null,
  ...given,
})
