/** How the tables of a comparison name what they compare. */

/** A state of the plan that is compared. */
export interface ComparedSide {
  side: "base" | "plan" | "scenario"
  label: string
}

export interface ComparisonSides {
  /** Columns of values, in order. */
  values: readonly ComparedSide[]
  /** Columns of sums, before their difference. */
  sums: readonly ComparedSide[]
  /** Head of the differences between base and scenario. */
  difference: string
  /** Head of the differences by month. */
  months: string
}

export const SCENARIO_SIDES: ComparisonSides = {
  values: [
    { side: "plan", label: "Plan" },
    { side: "scenario", label: "Scenario" },
    { side: "base", label: "Before" },
  ],
  sums: [
    { side: "plan", label: "Plan" },
    { side: "scenario", label: "Scenario" },
  ],
  difference: "Scenario’s change",
  months: "Scenario’s change by month",
}

const THEN_AND_NOW: readonly ComparedSide[] = [
  { side: "base", label: "Then" },
  { side: "scenario", label: "Now" },
]

/** Of an earlier version of the plan and the current one. */
export const VERSION_SIDES: ComparisonSides = {
  values: THEN_AND_NOW,
  sums: THEN_AND_NOW,
  difference: "Change",
  months: "Change by month",
}

const NOW_AND_AFTER: readonly ComparedSide[] = [
  { side: "base", label: "Now" },
  { side: "scenario", label: "After the update" },
]

/** Of a scenario, and what it becomes with the newer changes of its plan. */
export const UPDATE_SIDES: ComparisonSides = {
  values: NOW_AND_AFTER,
  sums: NOW_AND_AFTER,
  difference: "Change",
  months: "Change by month",
}
