/** Columns of a plan, for tests. */
import type { OwnKey } from "../../../src/plan/fields"
import type { PlanColumn } from "../../../src/plan/own-columns"

/** A text column that is called by its key; other kinds as given. */
export const planColumn = (key: string, given: Partial<PlanColumn>): PlanColumn =>
  ({
    key: key as OwnKey,
    label: key.charAt(0).toUpperCase() + key.slice(1),
    kind: "text",
    order: 8,
    isDeleted: false,
    conflicts: null,
    ...given,
  }) as PlanColumn

/** Choices by their values. */
export const choices = (...values: string[]) => ({ kind: "choice", choices: values.map((value) => ({ value, label: value })) }) as const
