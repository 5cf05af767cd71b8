import { Check, ChevronDown } from "lucide-react"
import type { ReactNode } from "react"
import type { PlanInfo, ScenarioPlace } from "../sync/plans"
import { Menu } from "./Menu"
import { countChanges } from "./SyncBadge"
import { ScenarioItems } from "./scenarios/ScenarioItems"
import type { PlanCommand } from "./use-plan-management"

interface Props {
  plans: readonly PlanInfo[]
  /** Number of unsynced changes by plan. */
  pending: ReadonlyMap<string, number>
  /** Id of the open plan or scenario. */
  current: string
  /** Name of the open plan, or of the plan of the open scenario. */
  name: string
  /** The open scenario; `null` if a plan is open. */
  scenario: ScenarioPlace | null
  isArchived: boolean
  commands: readonly PlanCommand[]
  onOpen: (id: string) => void
}

/** Menu for switching plans, with the commands for the open plan. Archived plans are listed apart. */
export function PlanMenu({ plans, pending, current, name, scenario, isArchived, commands, onOpen }: Props) {
  // The list of the server is older than the open plan.
  const isInArchive = (plan: PlanInfo) => (plan.id === current ? isArchived : plan.isArchived === true)
  const scenarioLabel = scenario ? `, scenario: ${scenario.scenario.name || "untitled"}` : ""
  const archived = plans.filter(isInArchive)
  return (
    <Menu
      label={`Plan: ${name || "untitled"}${scenarioLabel}. Switch plan`}
      className="plan-menu"
      button={
        <>
          <span className="plan-name">{name || "Untitled plan"}</span> <ChevronDown aria-hidden />
        </>
      }
    >
      {(close) => {
        const items = (listed: readonly PlanInfo[]) =>
          listed.map((plan) => (
            <PlanItem
              key={plan.id}
              plan={plan}
              name={plan.id === current ? name : plan.name}
              isCurrent={plan.id === current}
              waiting={pending.get(plan.id) ?? 0}
              onOpen={() => close(() => onOpen(plan.id))}
            >
              <ScenarioItems plan={plan} current={current} pending={pending} onOpen={(id) => close(() => onOpen(id))} />
            </PlanItem>
          ))
        return (
          <>
            <ul className="items" aria-label="Plans">
              {items(plans.filter((plan) => !isInArchive(plan)))}
            </ul>
            {archived.length > 0 && (
              <details className="archived-plans" open={isArchived}>
                <summary>Archived ({archived.length.toLocaleString()})</summary>
                <ul className="items" aria-label="Archived plans">
                  {items(archived)}
                </ul>
              </details>
            )}
            <ul className="items more">
              {commands.map(({ id, label, icon: Icon, isDangerous, run }) => (
                <li key={id}>
                  <button type="button" className={isDangerous ? "danger" : undefined} onClick={() => close(run)}>
                    <Icon aria-hidden /> {label}
                  </button>
                </li>
              ))}
            </ul>
          </>
        )
      }}
    </Menu>
  )
}

interface ItemProps {
  plan: PlanInfo
  name: string
  isCurrent: boolean
  /** Number of unsynced changes. */
  waiting: number
  onOpen: () => void
  children: ReactNode
}

function PlanItem({ plan, name, isCurrent, waiting, onOpen, children }: ItemProps) {
  return (
    <li>
      <button type="button" aria-current={isCurrent} disabled={plan.isBroken} onClick={onOpen}>
        {isCurrent ? <Check aria-hidden /> : <span className="gap" />}
        <span>{name || "Untitled plan"}</span>
        {plan.isBroken && <span className="tag">unavailable</span>}
        {plan.isLocal && <span className="tag">on this device</span>}
        {waiting > 0 && <span className="tag">{countChanges(waiting)} waiting</span>}
      </button>
      {children}
    </li>
  )
}
