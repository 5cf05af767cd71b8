import { useEffect, useRef } from "react"

export interface Note {
  key: number
  text: string
  action?: { label: string; run: () => void }
}

const SHOWN = 10_000

/** What has just happened, with a way back. */
export function Toast({ note, onEnd }: { note: Note | null; onEnd: () => void }) {
  const place = useRef<HTMLDivElement>(null)
  useEffect(() => {
    if (!note) return
    // It stays while somebody is at it.
    const isHeld = () => place.current?.matches(":hover, :focus-within") ?? false
    let timer = window.setTimeout(function end() {
      if (isHeld()) timer = window.setTimeout(end, 1_000)
      else onEnd()
    }, SHOWN)
    return () => window.clearTimeout(timer)
  }, [note, onEnd])
  return (
    <div className="toasts" role="status" aria-live="polite" ref={place}>
      {note && (
        <div className="toast" key={note.key}>
          <span>{note.text}</span>
          {note.action && (
            <button
              type="button"
              onClick={() => {
                onEnd()
                note.action?.run()
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
