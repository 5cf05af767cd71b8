/** Who logs out leaves no copies behind. They are deleted by a page that has not opened them. */
import { STORAGE } from "./place"
import { forgetRemembered } from "./remembered"
import { deleteLocalCopies } from "./repo"

const KEY = `${STORAGE}.forget.`

/** Whose copies are to go. */
export const forget = (owner: string): void => localStorage.setItem(KEY + owner, "")

/** They are to be opened again, and worked in: nothing of them goes any more. */
export const keep = (owner: string): void => localStorage.removeItem(KEY + owner)

/** Deletes what is to go, and all that is remembered beside it. What other tabs still have open is left for the next page. */
export async function forgetLeft(): Promise<void> {
  for (const key of Object.keys(localStorage)) {
    if (!key.startsWith(KEY)) continue
    const owner = key.slice(KEY.length)
    if ((await deleteLocalCopies(owner).catch(() => "later")) !== "deleted") continue
    forgetRemembered(owner)
    keep(owner)
  }
}

/** Tabs that have the copies open let go of them. */
export function leaveWithOthers(): void {
  window.addEventListener("storage", ({ key, newValue }) => {
    if (key?.startsWith(KEY) && newValue !== null) location.reload()
  })
}
