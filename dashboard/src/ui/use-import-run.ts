/** Writes an import, and tells after a reload if it was interrupted. */
import { useEffect, useRef, useState } from "react"
import type { ImportChanges } from "../plan/table-import/review"
import { clearImportNote, type ImportNote, readInterruptedImport, tabName, writeImportNote } from "../sync/import-journal"
import type { PlanStore } from "../sync/plan-store"
import { ProgressCounter, type RunningImport } from "./ImportProgress"
import type { PlanActions } from "./plan-actions"

const NOTE_INTERVAL_MS = 1_000

export function useImportRun(store: PlanStore, actions: PlanActions) {
  const owner = store.syncStatus.owner
  const [running, setRunning] = useState<RunningImport | null>(null)
  const [interrupted, setInterrupted] = useState<ImportNote | null>(() => readInterruptedImport(owner, store.id, Date.now()))
  const isStopped = useRef(false)
  const [progress] = useState(() => new ProgressCounter())

  // The browser asks before it leaves the page.
  const isRunning = running !== null
  useEffect(() => {
    if (!isRunning) return
    const ask = (event: BeforeUnloadEvent) => event.preventDefault()
    window.addEventListener("beforeunload", ask)
    return () => window.removeEventListener("beforeunload", ask)
  }, [isRunning])

  const keepInterrupted = () => {
    clearImportNote(owner, store.id)
    setInterrupted(null)
  }
  return {
    running,
    interrupted,
    keepInterrupted,
    undoInterrupted:
      interrupted && store.undoStack.find(interrupted.label)
        ? async () => {
            // A reload meanwhile finds the note, and the rest of the import to undo.
            setInterrupted(null)
            if (await actions.undoImport(interrupted.label)) clearImportNote(owner, store.id)
            else setInterrupted(interrupted)
          }
        : null,
    stop: () => {
      isStopped.current = true
      setRunning((before) => before && { ...before, isStopping: true })
    },
    run: (changes: ImportChanges) => {
      isStopped.current = false
      let note: ImportNote | null = null
      const { label, total, finished } = actions.importTable(changes, (done) => {
        const now = Date.now()
        if (note && now - note.at > NOTE_INTERVAL_MS) {
          note = { ...note, at: now }
          writeImportNote(owner, store.id, note)
        }
        progress.set(done)
        return !isStopped.current
      })
      const end = () => {
        clearImportNote(owner, store.id)
        setRunning(null)
      }
      if (changes.additions.length + changes.cells.length + changes.deletions.length <= 100) return
      note = { label, total, tab: tabName(), at: Date.now() }
      writeImportNote(owner, store.id, note)
      progress.set(0)
      setRunning({ total, isStopping: false, progress })
      void finished.finally(end)
    },
  }
}
