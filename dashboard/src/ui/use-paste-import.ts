import { useEffect, useRef } from "react"
import { scaleMismatch } from "../grid/cell-changes"
import { readClipboard, toTabSeparated } from "../grid/clipboard"
import type { Settings } from "../plan/schema"

interface Options {
  settings: Settings
  /** Receives the table as tab-separated text. */
  onTable: (text: string) => void
  /** Receives the reason why a table cannot be pasted. */
  onRefused: (reason: string) => void
}

/** Pastes a table anywhere on the page while `isActive`: an empty list has no cells to paste onto. */
export function usePasteImport(isActive: boolean, options: Options): void {
  const latest = useRef(options)
  latest.current = options
  useEffect(() => {
    if (!isActive) return
    const onPaste = (event: ClipboardEvent) => {
      const { settings, onTable, onRefused } = latest.current
      const read = (type: string) => event.clipboardData?.getData(type) ?? ""
      const table = readClipboard({ text: read("text/plain"), html: read("text/html") })
      const isElsewhere = event.target instanceof Element && event.target.closest("input, textarea, dialog")
      if (isElsewhere || table.rows.every((row) => row.every((cell) => cell.trim() === ""))) return
      event.preventDefault()
      const mismatch = scaleMismatch(table, settings)
      if (mismatch === null) onTable(toTabSeparated(table))
      else onRefused(mismatch)
    }
    document.addEventListener("paste", onPaste)
    return () => document.removeEventListener("paste", onPaste)
  }, [isActive])
}
