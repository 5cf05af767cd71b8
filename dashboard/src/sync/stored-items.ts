/**
 * Writes to the storage of the browser, which may be full or blocked. A write never throws: the page works without what it keeps there, and an
 * error inside a handler of the repository would break the open plan.
 */
import { STORAGE_PREFIX } from "./storage-prefix"

/** What the keys of undo stacks begin with. They take by far the most room. */
const UNDO_PREFIX = `${STORAGE_PREFIX}.undo.`

/** Keys of the undo stacks of open plans. */
const openStacks = new Set<string>()

/** Never drops this undo stack to make room. */
export const protectUndoStack = (key: string): void => void openStacks.add(key)
/** The plan of this undo stack is no longer open. */
export const releaseUndoStack = (key: string): void => void openStacks.delete(key)

/**
 * Stores a text in local storage; `null` removes it. If the storage is full, the undo stacks of other plans make room. Returns whether it was
 * stored.
 */
export function storeItem(key: string, text: string | null): boolean {
  if (text === null) return succeeds(() => localStorage.removeItem(key))
  const store = () => succeeds(() => localStorage.setItem(key, text))
  return store() || (succeeds(() => dropUndoStacks(key)) && store())
}

/** Stores a text for this tab; `null` removes it. Returns whether it was stored. */
export const storeTabItem = (key: string, text: string | null): boolean =>
  succeeds(() => (text === null ? sessionStorage.removeItem(key) : sessionStorage.setItem(key, text)))

/** Drops the undo stacks of all plans that are not open. */
function dropUndoStacks(written: string): void {
  for (const key of Object.keys(localStorage))
    if (key.startsWith(UNDO_PREFIX) && key !== written && !openStacks.has(key)) localStorage.removeItem(key)
}

function succeeds(write: () => void): boolean {
  try {
    write()
    return true
  } catch {
    return false
  }
}
