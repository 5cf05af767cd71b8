import { useSyncExternalStore } from "react"
import { Dialog } from "./Dialog"

/** The number of finished positions. Only the dialog renders when it changes, not the plan behind it. */
export class ProgressCounter {
  #done = 0
  #listeners = new Set<() => void>()

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  get = (): number => this.#done

  set(done: number): void {
    this.#done = done
    for (const listener of this.#listeners) listener()
  }
}

/** An import that is being written. */
export interface RunningImport {
  total: number
  isStopping: boolean
  progress: ProgressCounter
}

interface Props {
  running: RunningImport
  onStop: () => void
}

/** Progress of a large import. It covers the page, so that nobody edits what is about to change. */
export function ImportProgress({ running: { total, isStopping, progress }, onStop }: Props) {
  const done = useSyncExternalStore(progress.subscribe, progress.get)
  return (
    <Dialog title="Importing" onClose={onStop}>
      <progress aria-label="Import" max={total} value={done} />
      <p>
        {done.toLocaleString()} of {total.toLocaleString()} positions
      </p>
      <footer className="dialog-foot">
        <button type="button" disabled={isStopping} onClick={onStop}>
          Stop
        </button>
      </footer>
    </Dialog>
  )
}
