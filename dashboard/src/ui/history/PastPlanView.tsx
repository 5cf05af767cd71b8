import { useCallback, useDeferredValue, useEffect, useId, useRef, useState } from "react"
import type { ChangeAttribution, PastPlan } from "../../history/protocol"
import { PlanColumns } from "../../plan/columns"
import { formatDateTime, formatMoney } from "../../plan/format"
import { describeUnknownBudgets, sumBudgets } from "../../plan/query"
import type { Position } from "../../plan/schema"
import type { PlanStore } from "../../sync/plan-store"
import { PositionsTable } from "../PositionsTable"

/** What can be done with the version after a change: its author and time, and its index among all changes. */
export type OnVersion = (change: Pick<ChangeAttribution, "author" | "time">, index: number) => void

interface Props {
  store: PlanStore
  /** Number of changes. */
  changes: number
  onCompare: OnVersion
  /** `null` without edit access. */
  onName: OnVersion | null
}

/** The plan at an earlier time, selected with a slider. */
export function PastPlanView({ store, changes, onCompare, onName }: Props) {
  const [index, setIndex] = useState<number | null>(null)
  const [past, setPast] = useState<(PastPlan & { index: number }) | null>(null)
  const deferredIndex = useDeferredValue(index)
  /** The latest slider position. */
  const targetIndex = useRef<number | null>(null)
  const busy = useRef(false)
  const id = useId()

  // One request at a time; skipped slider positions are not requested.
  const read = useCallback(async () => {
    if (busy.current) return
    busy.current = true
    for (let requested: number | null = null; targetIndex.current !== null && targetIndex.current !== requested; ) {
      requested = targetIndex.current
      const found = await store.history?.request("planAt", { index: requested }).catch(() => null)
      if (targetIndex.current === requested) setPast(found ? { ...found, index: requested } : null)
    }
    busy.current = false
  }, [store])
  useEffect(() => {
    targetIndex.current = deferredIndex
    if (deferredIndex === null) setPast(null)
    else void read()
  }, [deferredIndex, read])

  const last = changes - 1
  return (
    <section className="travel" aria-label="Earlier version">
      <label htmlFor={id}>View an earlier version</label>
      <input
        id={id}
        type="range"
        min={0}
        max={last}
        value={index ?? last}
        aria-valuetext={past ? `after a change by ${past.author}, ${formatDateTime(past.time)}` : "now"}
        onChange={(event) => {
          const at = Number(event.target.value)
          setIndex(at === last ? null : at)
        }}
      />
      {past && (
        <div className="past">
          <p>
            After a change by <strong>{past.author}</strong>
            {past.time !== null && `, ${formatDateTime(past.time)}`}: {past.positions.length.toLocaleString()} positions,{" "}
            {formatPlanMoney(past, pastBudgetSum(past))}
            {past.settings.totalBudget !== null && ` of ${formatPlanMoney(past, past.settings.totalBudget)}`}
            {describeUnknownBudgets(past.positions) && `, ${describeUnknownBudgets(past.positions)}`}.{" "}
            <button type="button" className="link" onClick={() => setIndex(null)}>
              Back to now
            </button>
            <button type="button" className="link" onClick={() => onCompare(past, past.index)}>
              Compare this version with now
            </button>
            {onName && (
              <button type="button" className="link" onClick={() => onName(past, past.index)}>
                Name this earlier version…
              </button>
            )}
          </p>
          <PositionsTable
            rows={past.positions.map((position) => ({ key: position.id, ...position }))}
            fields={new PlanColumns(past.columns).fields}
            maxRows={MAX_PAST_ROWS}
            label="Positions in this version"
          />
        </div>
      )}
    </section>
  )
}

const MAX_PAST_ROWS = 300
const pastBudgetSum = (past: PastPlan): number => sumBudgets(past.positions as unknown as readonly Position[])
const formatPlanMoney = ({ settings }: PastPlan, units: number): string => formatMoney(units, settings.currency, settings.unit)
