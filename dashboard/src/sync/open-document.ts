/** Opens another document beside the one that is shown. */
import { type DocHandle, isValidDocumentId } from "@automerge/automerge-repo/slim"
import type { PlanDoc } from "../plan/schema"
import type { Connection } from "./connection"
import { hasContent } from "./content"
import type { LocalRepo } from "./repo"
import type { SyncStatus } from "./sync-status"

export interface OtherDocument {
  handle: DocHandle<PlanDoc>
  /** The copy of this device has everything that the server has. */
  isCurrent: boolean
}

/** Maximum wait for a document, and for the newest changes of the server. */
const TIMEOUT_MS = 15_000

/** Opens a document, and waits for the changes of the server if it can be reached. `null` if it is neither here nor on the server. */
export async function openDocument({ repo, connection, outbox }: LocalRepo, id: string): Promise<OtherDocument | null> {
  if (!isValidDocumentId(id)) return null
  const signal = AbortSignal.timeout(TIMEOUT_MS)
  const found = repo.find<PlanDoc>(id, { allowableStates: ["ready", "unavailable"], signal })
  const handle = await found.catch(() => null)
  if (!handle || !hasContent(handle)) return null
  return { handle, isCurrent: await whenCurrent(outbox.statusOf(handle), connection) }
}

/** Resolves when this copy is current, and with `false` if the server cannot be reached. */
function whenCurrent(status: SyncStatus, connection: Connection): Promise<boolean> {
  const { handle } = status
  return new Promise((resolve) => {
    const settle = () => {
      if (connection.isOpen && !status.isCurrent) return
      finish()
    }
    const finish = () => {
      window.clearTimeout(timer)
      unsubscribe()
      handle.off("remote-heads", settle)
      handle.off("heads-changed", settle)
      resolve(connection.isOpen && status.isCurrent)
    }
    const timer = window.setTimeout(finish, TIMEOUT_MS)
    const unsubscribe = connection.subscribe(settle)
    handle.on("remote-heads", settle)
    handle.on("heads-changed", settle)
    settle()
  })
}
