/**
 * Notes that an import is being written. A reload in the middle leaves the note, so that the page can say what happened: a part of an import
 * is never left without a word.
 */
import { planKey } from "./storage-keys"
import { storeItem, storeTabItem } from "./stored-items"

export interface ImportNote {
  /** Label of the action for undo. */
  label: string
  /** Number of positions that the import adds, changes or deletes. */
  total: number
  /** The tab that writes it. */
  tab: string
  /** Time of the latest portion, in milliseconds since 1970. */
  at: number
}

/** A tab that has been silent for so long is no longer writing. */
const SILENCE_MS = 30_000
const TAB_KEY = "happierwork.tab"

let name: string | null = null

/** Name of this tab. It survives a reload if it can be stored. */
export function tabName(): string {
  name ??= sessionStorage.getItem(TAB_KEY)
  if (name === null) {
    name = String(Math.random()).slice(2)
    storeTabItem(TAB_KEY, name)
  }
  return name
}

/** Without storage, the page cannot tell after a reload. */
export function writeImportNote(owner: string, plan: string, note: ImportNote): void {
  storeItem(planKey("import", owner, plan), JSON.stringify(note))
}

export function clearImportNote(owner: string, plan: string): void {
  storeItem(planKey("import", owner, plan), null)
}

/** The note of an import that was interrupted; `null` if there is none, or if another tab is still writing. */
export function readInterruptedImport(owner: string, plan: string, now: number): ImportNote | null {
  try {
    const note = JSON.parse(localStorage.getItem(planKey("import", owner, plan)) ?? "null") as ImportNote | null
    if (!note || typeof note.label !== "string") return null
    return note.tab === tabName() || now - note.at > SILENCE_MS ? note : null
  } catch {
    return null
  }
}
