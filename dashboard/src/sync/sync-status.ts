/** How one document stands to the server: what the server has on its disk, and what is still to go there. */
import { next as A } from "@automerge/automerge/slim"
import { type DocHandle, type DocHandleRemoteHeadsPayload, decodeHeads, type StorageId } from "@automerge/automerge-repo/slim"
import type { PlanDoc } from "../plan/schema"
import type { AccessError, Connection } from "./connection"
import type { LocalStorageAdapter } from "./local-storage"
import { savePendingCount } from "./pending-changes"
import { planKey } from "./storage-keys"

export interface SyncState {
  kind: "live" | "syncing" | "offline" | "not-allowed" | "rejected"
  /** Changes that the server has not got on its disk. */
  pending: number
  accessError: AccessError | null
  /** Why the server does not accept the changes that wait; null: it does. */
  rejection: string | null
  /** Why the last changes are not on this device; null: they are. */
  storageError: string | null
}

/** For as long as the page is there, whether the document is open or not: what waits goes out all the same. */
export class SyncStatus {
  state: SyncState = { kind: "offline", pending: 0, accessError: null, rejection: null, storageError: null }
  #listeners = new Set<() => void>()
  /** The server's heads that this copy has, and the newest that it has said. */
  #acknowledged: A.Heads
  /** What the server had before, the latest first: a browser that ends at once may have kept that and not the newest. */
  #earlierAcknowledged: A.Heads[]
  #serverHeads: A.Heads | null = null
  #savedCount: number | null = null

  constructor(
    readonly handle: DocHandle<PlanDoc>,
    private readonly connection: Connection,
    private readonly storage: LocalStorageAdapter,
    readonly owner: string,
  ) {
    this.#earlierAcknowledged = readHeads(owner, handle.documentId)
    this.#acknowledged = this.#earlierAcknowledged[0] ?? []
    handle.on("heads-changed", () => this.#resync())
    handle.on("remote-heads", this.#onRemoteHeads)
    connection.subscribe(() => this.#readHeads())
    storage.subscribe(() => this.#resync())
    this.#readHeads()
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  #onRemoteHeads = ({ storageId, heads }: DocHandleRemoteHeadsPayload): void => {
    // Other tabs tell of theirs as well.
    if (storageId !== this.connection.storageId) return
    this.#serverHeads = decodeHeads(heads)
    this.#resync()
  }

  /** What the server has said before anybody listened. */
  #readHeads(): void {
    const { storageId } = this.connection
    const syncInfo = storageId === null ? undefined : this.handle.getSyncInfo(storageId as StorageId)
    if (syncInfo) this.#serverHeads = decodeHeads(syncInfo.lastHeads)
    this.#resync()
  }

  #resync(): void {
    const doc = this.handle.doc()
    const isBehind = this.#serverHeads !== null && !has(doc, this.#serverHeads)
    if (this.#serverHeads && !isBehind) {
      this.#acknowledged = this.#serverHeads
      saveHeads(this.owner, this.handle.documentId, this.#serverHeads)
    }
    // Heads of another copy (the browser's storage was cleared in part) say nothing about this one.
    const known = has(doc, this.#acknowledged) ? this.#acknowledged : (this.#earlierAcknowledged.find((heads) => has(doc, heads)) ?? [])
    const pending = A.getChangesMetaSince(doc, known).length
    if (this.#savedCount !== pending) savePendingCount(this.owner, this.handle.documentId, pending)
    this.#savedCount = pending
    const { isOpen, accessError } = this.connection
    if (pending === 0) this.connection.clearRejection(this.handle.documentId)
    const rejection = isOpen ? this.connection.rejection(this.handle.documentId) : null
    const online = rejection !== null ? "rejected" : pending > 0 || isBehind ? "syncing" : "live"
    const kind = accessError ? "not-allowed" : isOpen ? online : "offline"
    const storageError = this.storage.writeError(this.handle.documentId)
    const { state } = this
    const isSame = state.kind === kind && state.pending === pending && state.accessError === accessError
    if (isSame && state.rejection === rejection && state.storageError === storageError) return
    this.state = { kind, pending, accessError, rejection: rejection, storageError: storageError }
    for (const listener of this.#listeners) listener()
  }
}

/** (`A.hasHeads` makes each of these changes again, which takes long for a large one.) */
function has(doc: A.Doc<unknown>, heads: A.Heads): boolean {
  const missing = new Set(A.getMissingDeps(doc, heads))
  return !heads.some((head) => missing.has(head))
}

const KEPT = 3

function readHeads(owner: string, id: string): A.Heads[] {
  try {
    const read = JSON.parse(localStorage.getItem(planKey("heads", owner, id)) ?? "[]") as unknown
    return Array.isArray(read) && read.every(Array.isArray) ? (read as A.Heads[]) : []
  } catch {
    return []
  }
}

function saveHeads(owner: string, id: string, heads: A.Heads): void {
  const before = readHeads(owner, id)
  if (JSON.stringify(before[0]) === JSON.stringify(heads)) return
  localStorage.setItem(planKey("heads", owner, id), JSON.stringify([heads, ...before].slice(0, KEPT)))
}
