/** Names of scenarios, and commands that open them. */
import type { PlanInfo, ScenarioPlace } from "../../sync/plans"
import type { Command } from "../CommandPalette"

/** A scenario and its plan, for the title of the window and of printed pages. */
export const scenarioTitle = ({ plan, scenario }: ScenarioPlace): string =>
  `${scenario.name || "Untitled scenario"}, scenario of ${plan.name || "Untitled plan"}`

/** Commands that open the scenarios of all plans, except the open one. */
export const openScenarioCommands = (plans: readonly PlanInfo[], current: string, onOpen: (id: string) => void): Command[] =>
  plans.flatMap((plan) =>
    (plan.scenarios ?? [])
      .filter(({ id }) => id !== current)
      .map(({ id, name }) => ({
        id: `open ${id}`,
        label: `Open the scenario “${name || "Untitled"}” of “${plan.name || "Untitled"}”`,
        run: () => onOpen(id),
      })),
  )
