/** The repository: plans in IndexedDB, synced with the server and with other tabs. */
import { type DocumentId, Repo } from "@automerge/automerge-repo/slim"
import { BroadcastChannelNetworkAdapter } from "@automerge/automerge-repo-network-broadcastchannel"
import { BackgroundStorage } from "./background-storage"
import { Connection } from "./connection"
import { databaseName } from "./database-name"
import { LocalStorageAdapter } from "./local-storage"
import { Outbox } from "./outbox"

export interface LocalRepo {
  repo: Repo
  connection: Connection
  outbox: Outbox
  background: BackgroundStorage
}

/** Saves what has changed in all documents. */
function saveNow(repo: Repo, storage: LocalStorageAdapter): void {
  storage.cancelRetries()
  const ready = Object.values(repo.handles).filter((handle) => handle.isReady())
  repo.flush(ready.map((handle) => handle.documentId)).catch(() => undefined)
}

/** Maximum wait for other tabs to close a database. */
const CLOSE_TIMEOUT_MS = 5_000

/** Opens the repository of a user. Each user of a browser has a separate database. */
export function openRepo(owner: string): LocalRepo {
  const sync = new URL("sync", location.href)
  sync.protocol = location.protocol === "https:" ? "wss:" : "ws:"
  sync.hash = ""
  const connection = new Connection(sync.href)
  const storage = new LocalStorageAdapter(databaseName(owner), (id) => {
    if (repo.handles[id as DocumentId]?.isReady()) repo.flush([id as DocumentId]).catch(() => undefined)
  })
  const repo = new Repo({
    storage,
    network: [connection, new BroadcastChannelNetworkAdapter({ channelName: databaseName(owner) })],
  })
  const background = new BackgroundStorage(repo, storage, databaseName(owner))
  // The repository saves some time after a change.
  window.addEventListener("pagehide", () => saveNow(repo, storage))
  connection.receiveWhole = (id, changes) => background.receiveWhole(id, changes)
  return { repo, connection, background, outbox: new Outbox(repo, connection, storage, owner) }
}

/** Deletes the database of a user. */
export function deleteLocalDatabase(owner: string): Promise<"deleted" | "later"> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.deleteDatabase(databaseName(owner))
    request.onsuccess = () => resolve("deleted")
    request.onerror = () => reject(request.error ?? new Error("Could not delete local data."))
    // Other tabs still have the database open and are about to reload.
    request.onblocked = () => window.setTimeout(() => resolve("later"), CLOSE_TIMEOUT_MS)
  })
}
