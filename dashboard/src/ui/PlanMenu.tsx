import { Check, ChevronDown, Copy, Pencil, Plus } from "lucide-react"
import type { PlanInfo } from "../sync/plans"
import { Menu } from "./Menu"
import { countChanges } from "./SyncBadge"

interface Props {
  plans: readonly PlanInfo[]
  /** Number of unsynced changes by plan. */
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

/** Menu for switching, creating, sharing and configuring plans. */
export function PlanMenu({ plans, pending, current, name, canEdit, canCreate, onOpen, onCreate, onSettings, onShare }: Props) {
  return (
    <Menu
      label={`Plan: ${name || "untitled"}. Switch plan`}
      className="plan-menu"
      button={
        <>
          <span className="plan-name">{name || "Untitled plan"}</span> <ChevronDown aria-hidden />
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
                  <span>{(plan.id === current ? name : plan.name) || "Untitled plan"}</span>
                  {plan.isBroken && <span className="tag">unavailable</span>}
                  {plan.isLocal && <span className="tag">on this device</span>}
                  {pending.has(plan.id) && <span className="tag">{countChanges(pending.get(plan.id) ?? 0)} waiting</span>}
                </button>
              </li>
            ))}
          </ul>
          <ul className="items more">
            <li>
              <button type="button" onClick={() => close(() => onShare())}>
                <Copy aria-hidden /> Copy link
              </button>
            </li>
            {canEdit && (
              <li>
                <button type="button" onClick={() => close(() => onSettings())}>
                  <Pencil aria-hidden /> Plan settings…
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
