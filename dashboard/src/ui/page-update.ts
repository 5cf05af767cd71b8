/** Whether the server has a newer page than this one: from when it is said until the page is loaded again. */
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
