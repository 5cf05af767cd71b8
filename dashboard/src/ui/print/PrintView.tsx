/**
 * Renders the plan for the printer: the grid has only its visible rows in the DOM. The browser reports every print, whichever key, menu or
 * program has started it.
 */
import { memo, useEffect, useRef, useState } from "react"
import { createPortal, flushSync } from "react-dom"
import type { PlanColumns } from "../../plan/columns"
import type { Field } from "../../plan/fields"
import { type Filter, filterPositions, type Sort, sortPositions } from "../../plan/query"
import type { Position, SettingConflicts, Settings } from "../../plan/schema"
import type { SyncState } from "../../sync/sync-status"
import { PrintSummary } from "./PrintSummary"
import { PrintTable } from "./PrintTable"

interface PlanState {
  positions: readonly Position[]
  settings: Settings
  settingConflicts: SettingConflicts | null
  /** Number of places in the shared maps that have conflicts. */
  placeConflicts: number
  isArchived: boolean
  sync: SyncState
  columns: PlanColumns
  /** The columns that the list shows. */
  fields: readonly Field[]
  filter: Filter
  sort: Sort | null
}

/** The state of a plan when it was printed. */
export interface PrintedPlan extends PlanState {
  /** Milliseconds since 1970. */
  at: number
  /** The positions that match the filter, in the order of the list. */
  rows: readonly Position[]
}

/** A text as a CSS string, for the margin of each page. */
const toCssString = (text: string): string =>
  `"${[...text]
    .slice(0, 80)
    .join("")
    .replace(/[\\"\n\r\f]/g, (found) => `\\${found.charCodeAt(0).toString(16)} `)}"`

export function PrintView(state: PlanState) {
  const [printed, setPrinted] = useState<PrintedPlan | null>(null)
  const latest = useRef(state)
  latest.current = state
  useEffect(() => {
    const onBefore = () => {
      const { positions, columns, filter, sort } = latest.current
      const rows = sortPositions(filterPositions(positions, filter, null, columns), sort, columns)
      document.documentElement.style.setProperty("--print-title", toCssString(latest.current.settings.name))
      // The browser takes its picture of the page when this listener returns.
      flushSync(() => setPrinted({ ...latest.current, at: Date.now(), rows }))
    }
    // On phones the event precedes the picture, so the pages stay until the user is back in the page.
    const onAfter = () => {
      for (const type of ["pointerdown", "keydown"]) window.addEventListener(type, onReturn)
    }
    const onReturn = () => {
      for (const type of ["pointerdown", "keydown"]) window.removeEventListener(type, onReturn)
      setPrinted(null)
    }
    window.addEventListener("beforeprint", onBefore)
    window.addEventListener("afterprint", onAfter)
    return () => {
      window.removeEventListener("beforeprint", onBefore)
      window.removeEventListener("afterprint", onAfter)
      for (const type of ["pointerdown", "keydown"]) window.removeEventListener(type, onReturn)
    }
  }, [])
  return printed && createPortal(<Pages printed={printed} />, document.body)
}

const Pages = memo(function Pages({ printed }: { printed: PrintedPlan }) {
  return (
    <main className="print">
      <PrintSummary printed={printed} />
      <PrintTable rows={printed.rows} fields={printed.fields} settings={printed.settings} />
    </main>
  )
})
