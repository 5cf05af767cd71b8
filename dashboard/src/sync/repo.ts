/** The repository: the plans in this browser's IndexedDB, synced with the server and with other tabs. */
import { type DocumentId, Repo } from "@automerge/automerge-repo/slim"
import { BroadcastChannelNetworkAdapter } from "@automerge/automerge-repo-network-broadcastchannel"
import { Connection } from "./connection"
import { LocalCopies } from "./copies"
import { Outbox } from "./outbox"
import { STORAGE } from "./place"

export interface Local {
  repo: Repo
  connection: Connection
  outbox: Outbox
}

/** How long other tabs may take to close a database. */
const PATIENCE = 5_000

const database = (owner: string) => `${STORAGE}${owner === "" ? "" : `.${owner}`}`

/** `owner`: whose plans these are. Each user of a browser has copies of their own. */
export function openRepo(owner: string): Local {
  const sync = new URL("sync", location.href)
  sync.protocol = location.protocol === "https:" ? "wss:" : "ws:"
  sync.hash = ""
  const connection = new Connection(sync.href)
  const copies = new LocalCopies(database(owner), (id) => {
    if (repo.handles[id as DocumentId]?.isReady()) repo.flush([id as DocumentId]).catch(() => undefined)
  })
  const repo = new Repo({
    storage: copies,
    network: [connection, new BroadcastChannelNetworkAdapter({ channelName: database(owner) })],
  })
  return { repo, connection, outbox: new Outbox(repo, connection, copies, owner) }
}

/** Takes the local copies away: who logs out leaves no figures behind. */
export function deleteLocalCopies(owner: string): Promise<"deleted" | "later"> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.deleteDatabase(database(owner))
    request.onsuccess = () => resolve("deleted")
    request.onerror = () => reject(request.error ?? new Error("the local copies could not be deleted"))
    // Other tabs still have it open; they are on their way out.
    request.onblocked = () => window.setTimeout(() => resolve("later"), PATIENCE)
  })
}
