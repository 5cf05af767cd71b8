/** Removes local data after a logout. A page that has not opened the database deletes it. */

import { removeFormDrafts } from "./form-drafts"
import { deleteLocalDatabase } from "./repo"
import { removeStoredKeys } from "./storage-keys"
import { STORAGE_PREFIX } from "./storage-prefix"
import { storeItem } from "./stored-items"

const KEY = `${STORAGE_PREFIX}.forget.`

/** Marks the data of a user for removal, and removes what was typed into forms. */
export function scheduleLocalDataRemoval(owner: string): void {
  removeFormDrafts()
  if (storeItem(KEY + owner, "")) return
  // The storage is full of what is removed anyway.
  removeStoredKeys(owner)
  storeItem(KEY + owner, "")
}

/** Keeps the data: the user has logged in again. */
export function cancelLocalDataRemoval(owner: string): void {
  storeItem(KEY + owner, null)
}

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

/** Removes what was typed into forms when another tab logs out, and calls `onLogout`. */
export function followLogoutInOtherTab(onLogout: () => void = () => undefined): void {
  window.addEventListener("storage", ({ key, newValue }) => {
    if (!key?.startsWith(KEY) || newValue === null) return
    removeFormDrafts()
    onLogout()
  })
}
