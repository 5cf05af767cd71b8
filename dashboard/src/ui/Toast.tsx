import { useEffect, useRef } from "react"

export interface Note {
  key: number
  text: string
  action?: { label: string; run: () => void }
}

const SHOWN = 10_000

/** A note takes the place of others, but what only says something takes no way back away. */
export const noted = (notes: readonly Note[], note: Note): readonly Note[] => [
  ...notes.filter((other) => other.action && !note.action),
  note,
]

/** What has just happened, with a way back. */
export function Toasts({ notes, onEnd }: { notes: readonly Note[]; onEnd: (note: Note) => void }) {
  return (
    <div className="toasts" role="status" aria-live="polite">
      {notes.map((note) => (
        <Toast key={note.key} note={note} onEnd={onEnd} />
      ))}
    </div>
  )
}

function Toast({ note, onEnd }: { note: Note; onEnd: (note: Note) => void }) {
  const place = useRef<HTMLDivElement>(null)
  useEffect(() => {
    // It stays while somebody is at it.
    const isHeld = () => place.current?.matches(":hover, :focus-within") ?? false
    let timer = window.setTimeout(function end() {
      if (isHeld()) timer = window.setTimeout(end, 1_000)
      else onEnd(note)
    }, SHOWN)
    return () => window.clearTimeout(timer)
  }, [note, onEnd])
  return (
    <div className="toast" ref={place}>
      <span>{note.text}</span>
      {note.action && (
        <button
          type="button"
          onClick={() => {
            onEnd(note)
            note.action?.run()
          }}
        >
          {note.action.label}
        </button>
      )}
    </div>
  )
}
