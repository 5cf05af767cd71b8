/** The view of the list, kept in the address of the page, so that it can be shared and the Back button returns to it. */
import { useCallback, useEffect, useRef, useState } from "react"
import { formatView, NO_VIEW, parseView, type View } from "../plan/view"
import { formatAddress, readAddress } from "./address"

/** How a change is recorded: as a step for the Back button, in place of the last one, or later, when typing has paused. */
export type HistoryStep = "push" | "replace" | "typing"

export type ChangeView = (change: (view: View) => View, step?: HistoryStep) => void

/** Browsers limit how often a page may change its address. */
const TYPING_PAUSE_MS = 300

const viewInAddress = (plan: string): View => {
  const address = readAddress()
  return address.plan === plan ? parseView(address.view) : NO_VIEW
}

export function useView(plan: string): [View, ChangeView] {
  const [view, setView] = useState(() => viewInAddress(plan))
  const latest = useRef(view)
  /** A change that the address does not contain yet. */
  const waiting = useRef<{ isStep: boolean; timer: number } | null>(null)

  const write = useCallback(
    (isStep: boolean) => {
      const address = readAddress()
      const next = formatAddress({ plan, view: formatView(latest.current) })
      if (address.plan !== plan || formatAddress(address) === next) return
      if (isStep) history.pushState(null, "", next)
      else history.replaceState(null, "", next)
    },
    [plan],
  )
  const flush = useCallback(() => {
    if (!waiting.current) return
    const { isStep, timer } = waiting.current
    window.clearTimeout(timer)
    waiting.current = null
    write(isStep)
  }, [write])

  const change = useCallback<ChangeView>(
    (edit, step = "push") => {
      const before = latest.current
      // What was typed before is a step of its own.
      if (step !== "typing") flush()
      const next = edit(before)
      latest.current = next
      setView(next)
      if (step !== "typing") return write(step === "push")
      // A search is one step, not one for each letter.
      const isStep = waiting.current?.isStep ?? (before.filter.search === "" || next.filter.search === "")
      if (waiting.current) window.clearTimeout(waiting.current.timer)
      waiting.current = { isStep, timer: window.setTimeout(flush, TYPING_PAUSE_MS) }
    },
    [flush, write],
  )

  useEffect(() => {
    const onAddress = () => {
      if (readAddress().plan !== plan) return
      if (waiting.current) window.clearTimeout(waiting.current.timer)
      waiting.current = null
      const next = viewInAddress(plan)
      if (formatView(next) === formatView(latest.current)) return
      latest.current = next
      setView(next)
    }
    window.addEventListener("popstate", onAddress)
    window.addEventListener("hashchange", onAddress)
    return () => {
      window.removeEventListener("popstate", onAddress)
      window.removeEventListener("hashchange", onAddress)
      if (waiting.current) window.clearTimeout(waiting.current.timer)
    }
  }, [plan])

  return [view, change]
}
