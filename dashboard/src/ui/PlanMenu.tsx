import { Check, ChevronDown, Copy, Pencil, Plus } from "lucide-react"
import type { PlanInfo } from "../sync/plans"
import { Menu } from "./Menu"
import { countChanges } from "./SyncBadge"

interface Props {
  plans: readonly PlanInfo[]
  /** Changes that the server has not got, by plan. */
  pending: ReadonlyMap<string, number>
  current: string
  name: string
  canEdit: boolean
  canCreate: boolean
  onOpen: (id: string) => void
  onCreate: () => void
  onSettings: () => void
  onShare: () => void
}

/** Which plan this is, and the others. */
export function PlanMenu({ plans, pending, current, name, canEdit, canCreate, onOpen, onCreate, onSettings, onShare }: Props) {
  return (
    <Menu
      label={`Plan: ${name || "without a name"}. Choose another`}
      className="plan-menu"
      button={
        <>
          <span className="plan-name">{name || "Plan without a name"}</span> <ChevronDown aria-hidden />
        </>
      }
    >
      {(close) => (
        <>
          <ul className="items" aria-label="Plans">
            {plans.map((plan) => (
              <li key={plan.id}>
                <button
                  type="button"
                  aria-current={plan.id === current}
                  disabled={plan.isBroken}
                  onClick={() => close(() => onOpen(plan.id))}
                >
                  {plan.id === current ? <Check aria-hidden /> : <span className="gap" />}
                  <span>{(plan.id === current ? name : plan.name) || "Plan without a name"}</span>
                  {plan.isBroken && <span className="tag">cannot be opened</span>}
                  {plan.isLocal && <span className="tag">on this device</span>}
                  {pending.has(plan.id) && <span className="tag">{countChanges(pending.get(plan.id) ?? 0)} waiting</span>}
                </button>
              </li>
            ))}
          </ul>
          <ul className="items more">
            <li>
              <button type="button" onClick={() => close(() => onShare())}>
                <Copy aria-hidden /> Copy the link to this plan
              </button>
            </li>
            {canEdit && (
              <li>
                <button type="button" onClick={() => close(() => onSettings())}>
                  <Pencil aria-hidden /> Name, budget, currency…
                </button>
              </li>
            )}
            {canCreate && (
              <li>
                <button type="button" onClick={() => close(() => onCreate())}>
                  <Plus aria-hidden /> New plan…
                </button>
              </li>
            )}
          </ul>
        </>
      )}
    </Menu>
  )
}
