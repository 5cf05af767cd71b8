/** Whether a document has arrived on this device. */
import { next as A } from "@automerge/automerge/slim"
import type { DocHandle } from "@automerge/automerge-repo/slim"

/**
 * Whether the document is on this device. The repository may hold an empty document for an id, for example after the document was
 * deleted, and an empty document looks like an empty plan.
 */
export const hasContent = (handle: DocHandle<unknown>): boolean => handle.isReady() && A.getHeads(handle.doc()).length > 0

/** Calls `then` once, as soon as the document is on this device. Returns a function that ends the wait. */
export function onceItHasContent(handle: DocHandle<unknown>, then: () => void): () => void {
  let isWaiting = true
  const check = () => {
    if (!isWaiting || !hasContent(handle)) return
    stop()
    then()
  }
  const stop = () => {
    isWaiting = false
    handle.off("heads-changed", check)
  }
  // `whenReady` times out after a minute.
  const wait = (): void => {
    if (isWaiting) handle.whenReady(["ready"]).then(check, () => window.setTimeout(wait, 1_000))
  }
  handle.on("heads-changed", check)
  check()
  wait()
  return stop
}
