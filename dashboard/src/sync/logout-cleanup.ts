/** Who logs out leaves no copies behind. They are deleted by a page that has not opened them. */

import { deleteLocalDatabase } from "./repo"
import { removeStoredKeys } from "./storage-keys"
import { STORAGE_PREFIX } from "./storage-prefix"

const KEY = `${STORAGE_PREFIX}.forget.`

/** Whose copies are to go. */
export const scheduleLocalDataRemoval = (owner: string): void => localStorage.setItem(KEY + owner, "")

/** They are to be opened again, and worked in: nothing of them goes any more. */
export const cancelLocalDataRemoval = (owner: string): void => localStorage.removeItem(KEY + owner)

/** Deletes what is to go, and all that is remembered beside it. What other tabs still have open is left for the next page. */
export async function removeScheduledLocalData(): Promise<void> {
  for (const key of Object.keys(localStorage)) {
    if (!key.startsWith(KEY)) continue
    const owner = key.slice(KEY.length)
    if ((await deleteLocalDatabase(owner).catch(() => "later")) !== "deleted") continue
    removeStoredKeys(owner)
    cancelLocalDataRemoval(owner)
  }
}

/** Tabs that have the copies open let go of them. */
export function reloadOnLogoutInOtherTab(): void {
  window.addEventListener("storage", ({ key, newValue }) => {
    if (key?.startsWith(KEY) && newValue !== null) location.reload()
  })
}
