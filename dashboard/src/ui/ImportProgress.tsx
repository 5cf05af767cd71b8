import { Dialog } from "./Dialog"

/** An import that is being written. */
export interface RunningImport {
  done: number
  total: number
  isStopping: boolean
}

interface Props {
  running: RunningImport
  onStop: () => void
}

/** Progress of a large import. It blocks the page, so that nobody edits what is about to change. */
export function ImportProgress({ running: { done, total, isStopping }, onStop }: Props) {
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
