/** Removes local data after a logout. A page that has not opened the database deletes it. */

import { deleteLocalDatabase } from "./repo"
import { removeStoredKeys } from "./storage-keys"
import { STORAGE_PREFIX } from "./storage-prefix"

const KEY = `${STORAGE_PREFIX}.forget.`

/** Marks the data of a user for removal. */
export const scheduleLocalDataRemoval = (owner: string): void => localStorage.setItem(KEY + owner, "")

/** Keeps the data: the user has logged in again. */
export const cancelLocalDataRemoval = (owner: string): void => localStorage.removeItem(KEY + owner)

/** Deletes marked databases and their stored keys. A database that another tab has open is deleted by the next page. */
export async function removeScheduledLocalData(): Promise<void> {
  for (const key of Object.keys(localStorage)) {
    if (!key.startsWith(KEY)) continue
    const owner = key.slice(KEY.length)
    if ((await deleteLocalDatabase(owner).catch(() => "later")) !== "deleted") continue
    removeStoredKeys(owner)
    cancelLocalDataRemoval(owner)
  }
}

/** Reloads the page when another tab logs out, so that the database is closed. */
export function reloadOnLogoutInOtherTab(): void {
  window.addEventListener("storage", ({ key, newValue }) => {
    if (key?.startsWith(KEY) && newValue !== null) location.reload()
  })
}
