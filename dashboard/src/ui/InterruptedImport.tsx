import type { ImportNote } from "../sync/import-journal"

interface Props {
  interrupted: ImportNote
  onUndo: () => void
  onKeep: () => void
}

/** Tells that the page was closed while an import was being written. */
export function InterruptedImport({ interrupted: { label, total }, onUndo, onKeep }: Props) {
  return (
    <p className="banner problem" role="alert">
      The {label} was interrupted when the page was closed. Only some of the {total.toLocaleString()} positions are in the plan.{" "}
      <button type="button" className="link" onClick={onUndo}>
        Undo the import
      </button>{" "}
      <button type="button" className="link" onClick={onKeep}>
        Keep what was imported
      </button>
    </p>
  )
}
