import { useEffect } from "react"

export interface Note {
  key: number
  text: string
  action?: { label: string; run: () => void }
}

const SHOWN = 10_000

/** What has just happened, with a way back. */
export function Toast({ note, onEnd }: { note: Note | null; onEnd: () => void }) {
  useEffect(() => {
    if (!note) return
    const timer = window.setTimeout(onEnd, SHOWN)
    return () => window.clearTimeout(timer)
  }, [note, onEnd])
  return (
    <div className="toasts" role="status" aria-live="polite">
      {note && (
        <div className="toast" key={note.key}>
          <span>{note.text}</span>
          {note.action && (
            <button
              type="button"
              onClick={() => {
                note.action?.run()
                onEnd()
              }}
            >
              {note.action.label}
            </button>
          )}
        </div>
      )}
    </div>
  )
}
