import { memo, type RefObject, useEffect, useState } from "react"
import { formatMoney } from "../plan/format"
import { roundSum, sumBudgets } from "../plan/query"
import type { Position, Settings } from "../plan/schema"

/** Whether an element has been scrolled above the window. */
export function useIsScrolledAway(element: RefObject<HTMLElement | null>): boolean {
  const [isAway, setAway] = useState(false)
  useEffect(() => {
    if (!element.current) return
    const observer = new IntersectionObserver((entries) => {
      const last = entries.at(-1)
      if (last) setAway(!last.isIntersecting && last.boundingClientRect.top < 0)
    })
    observer.observe(element.current)
    return () => observer.disconnect()
  }, [element])
  return isAway
}

interface Props {
  positions: readonly Position[]
  /** The positions that match the filter; `null` without a filter. */
  shown: readonly Position[] | null
  settings: Settings
}

/** The main figures in one line, shown while the summary is out of sight. */
export const FiguresLine = memo(function FiguresLine({ positions, shown, settings: { currency, unit, totalBudget } }: Props) {
  const money = (amount: number) => formatMoney(amount, currency, unit)
  const used = sumBudgets(positions)
  const left = totalBudget === null ? null : roundSum(totalBudget - used)
  return (
    <section className="figures-line" aria-label="Budget figures">
      <p>
        Used <strong>{money(used)}</strong>
        {totalBudget !== null && ` of ${money(totalBudget)}`}
      </p>
      {left !== null && (
        <p className={left < 0 ? "over" : undefined}>
          {left < 0 ? "Over budget" : "Left"} <strong>{money(Math.abs(left))}</strong>
        </p>
      )}
      {shown && (
        <p>
          {shown.length.toLocaleString()} of {positions.length.toLocaleString()} shown, <strong>{money(sumBudgets(shown))}</strong>
        </p>
      )}
    </section>
  )
})
