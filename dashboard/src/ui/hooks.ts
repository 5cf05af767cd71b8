import { useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react"

/** Whether a media query matches. */
export function useMediaQuery(query: string): boolean {
  return useSyncExternalStore(
    (listener) => {
      const list = window.matchMedia(query)
      list.addEventListener("change", listener)
      return () => list.removeEventListener("change", listener)
    },
    () => window.matchMedia(query).matches,
  )
}

/** The current time, updated every 30 seconds for relative times. */
export function useCurrentMinute(): number {
  const [minute, setMinute] = useState(() => Date.now())
  useEffect(() => {
    const timer = window.setInterval(() => setMinute(Date.now()), 30_000)
    return () => window.clearInterval(timer)
  }, [])
  return minute
}

/** Today in the time zone of the browser. */
export function currentDate(): string {
  const now = new Date()
  return `${currentMonth()}-${String(now.getDate()).padStart(2, "0")}`
}

/** The month of today in the time zone of the browser. */
export function currentMonth(): string {
  const now = new Date()
  return `${now.getFullYear()}-${String(now.getMonth() + 1).padStart(2, "0")}`
}

/** Callbacks as an object that never changes, and that always calls the latest ones. */
export function useLatestCallbacks<T extends object>(callbacks: T): T {
  const latest = useRef(callbacks)
  latest.current = callbacks
  return useMemo(() => {
    const forward =
      (name: string) =>
      (...args: unknown[]) =>
        (latest.current as Record<string, (...args: unknown[]) => unknown>)[name]?.(...args)
    return Object.fromEntries(Object.keys(latest.current).map((name) => [name, forward(name)])) as T
  }, [])
}
