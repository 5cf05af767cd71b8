/** The repository: plans in IndexedDB, synced with the server and with other tabs. */
import { type DocumentId, Repo } from "@automerge/automerge-repo/slim"
import { BroadcastChannelNetworkAdapter } from "@automerge/automerge-repo-network-broadcastchannel"
import { Connection } from "./connection"
import { LocalStorageAdapter } from "./local-storage"
import { Outbox } from "./outbox"
import { STORAGE_PREFIX } from "./storage-prefix"

export interface LocalRepo {
  repo: Repo
  connection: Connection
  outbox: Outbox
}

/** Maximum wait for other tabs to close a database. */
const CLOSE_TIMEOUT_MS = 5_000

const databaseName = (owner: string) => `${STORAGE_PREFIX}${owner === "" ? "" : `.${owner}`}`

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
  return { repo, connection, outbox: new Outbox(repo, connection, storage, owner) }
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
