/** Whether a newer version of the page is available. Set until the page reloads. */
import { useSyncExternalStore } from "react"

let hasUpdate = false
const listeners = new Set<() => void>()

export function notifyPageUpdate(): void {
  hasUpdate = true
  for (const listener of listeners) listener()
}

const subscribe = (listener: () => void) => {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

export const usePageUpdate = (): boolean => useSyncExternalStore(subscribe, () => hasUpdate)
