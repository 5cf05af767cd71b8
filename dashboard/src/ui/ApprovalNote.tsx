import { BadgeCheck } from "lucide-react"
import { useEffect, useRef, useState } from "react"
import { Attribution } from "../history/attribution"
import type { ChangeAttribution } from "../history/protocol"
import { isChangedSinceApproval } from "../plan/approval"
import { readFieldRegister } from "../plan/edit"
import { formatDateTime, formatFieldValue, formatMoney } from "../plan/format"
import { toPlainValue } from "../plan/multi-value-register"
import { type Position, type Settings, shownValue } from "../plan/schema"
import type { PlanStore } from "../sync/plan-store"

interface Props {
  store: PlanStore
  position: Position
  settings: Settings
  /** The server authenticates users and records who submitted each change. */
  hasAttribution: boolean
  /** `null` for viewers. */
  onApprove: (() => void) | null
}

/** The latest approval of a position: which budget, when and by whom, and whether the budget has changed since. */
export function ApprovalNote({ store, position, settings, hasAttribution, onApprove }: Props) {
  const { approval } = position
  const { change, user } = useApprovalChange(store, position, hasAttribution)
  if (!approval) return null
  const money = (budget: number | null) => (budget === null ? "an unknown budget" : formatMoney(budget, settings.currency, settings.unit))
  const isChanged = isChangedSinceApproval(position)
  const { mistyped, budget } = position
  const others = describeConcurrent(store, position, money)
  return (
    <section className={isChanged ? "approval changed" : "approval"} aria-label="Approval">
      <p>
        Approved: <strong>{money(approval.budget)}</strong> by <strong>{approval.by || "an unknown author"}</strong>
        {change !== null &&
          user !== null &&
          (user === approval.by ? (
            <span className="tag" title="The server confirmed the author.">
              <BadgeCheck aria-hidden /> verified
            </span>
          ) : (
            <span className="tag doubtful">submitted by {user}</span>
          ))}
        {approval.at !== null && `, ${formatDateTime(approval.at)}`}
      </p>
      {others !== null && <p>Several people approved this position at the same time: {others}. Approve it again to decide.</p>}
      {isChanged && (
        <p>
          The budget has changed since: it is now{" "}
          <strong>{mistyped?.budget !== undefined ? formatFieldValue("budget", shownValue(position, "budget")) : money(budget)}</strong>.
        </p>
      )}
      {(isChanged || others !== null) && onApprove && mistyped?.budget === undefined && (
        <p>
          <button type="button" onClick={onApprove}>
            Approve {money(budget)}
          </button>
        </p>
      )}
    </section>
  )
}

/** The budgets and authors of concurrent approvals; `null` if there is only one approval. */
function describeConcurrent({ plan }: PlanStore, { id }: Position, money: (budget: number | null) => string): string | null {
  const values = (key: string) => [...new Set(readFieldRegister(plan, id, key).map(({ value }) => toPlainValue(value)))]
  const [budgets, authors] = [values("approvedBudget"), values("approvedBy")]
  if (budgets.length < 2 && authors.length < 2) return null
  return `${budgets.map((budget) => money(typeof budget === "number" ? budget : null)).join(" and ")}, by ${authors.join(" and ")}`
}

/** The change that recorded the approval, and the user who submitted it as far as the server knows. */
function useApprovalChange(
  store: PlanStore,
  position: Position,
  hasAttribution: boolean,
): { change: ChangeAttribution | null; user: string | null } {
  const [change, setChange] = useState<ChangeAttribution | null>(null)
  const [users, setUsers] = useState<ReadonlyMap<string, string>>(new Map())
  const attribution = useRef<Attribution | null>(null)
  const { id, approval } = position
  // biome-ignore lint/correctness/useExhaustiveDependencies: another approval has another change
  useEffect(() => {
    let isCurrent = true
    const operation = hasAttribution ? readFieldRegister(store.plan, id, "approvedBy").at(-1)?.operation : undefined
    if (operation === undefined) return setChange(null)
    store.history?.request("authors", { operations: [operation] }).then(
      ([found]) => isCurrent && setChange(found ?? null),
      () => isCurrent && setChange(null),
    )
    return () => {
      isCurrent = false
    }
  }, [store, id, approval?.at, approval?.by, hasAttribution])
  useEffect(() => {
    const made = hasAttribution ? new Attribution(store.id, setUsers) : null
    attribution.current = made
    return () => made?.close()
  }, [hasAttribution, store])
  const { kind, pending } = store.getSnapshot().sync
  useEffect(() => {
    if (change && (kind === "live" || kind === "syncing")) attribution.current?.request([change.hash], pending === 0)
  }, [change, kind, pending])
  return { change, user: change ? (users.get(change.hash) ?? null) : null }
}
