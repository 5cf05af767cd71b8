/** Sync status of one document: which changes the server has stored, and how many are pending. */
import { next as A } from "@automerge/automerge/slim"
import { type DocHandle, type DocHandleRemoteHeadsPayload, decodeHeads, type StorageId } from "@automerge/automerge-repo/slim"
import { containsHeads } from "../plan/heads"
import type { PlanDoc } from "../plan/schema"
import type { AccessError, Connection } from "./connection"
import type { LocalStorageAdapter } from "./local-storage"
import { savePendingCount } from "./pending-changes"
import { planKey } from "./storage-keys"
import { storeItem } from "./stored-items"

export interface SyncState {
  kind: "live" | "syncing" | "offline" | "not-allowed" | "rejected"
  /** Number of changes that the server has not stored yet. */
  pending: number
  accessError: AccessError | null
  /** Why the server rejects the pending changes; `null` if it does not. */
  rejection: string | null
  /** Why the last changes are not saved on this device; `null` if they are. */
  storageError: string | null
}

/** The sync status of a plan. It lives as long as the page, also while another plan is open. */
export class SyncStatus {
  state: SyncState = { kind: "offline", pending: 0, accessError: null, rejection: null, storageError: null }
  #listeners = new Set<() => void>()
  /** The newest server heads that this copy contains. */
  #acknowledged: A.Heads
  /** Earlier acknowledged heads, newest first. After a crash the local copy may be older than the newest ones. */
  #earlierAcknowledged: A.Heads[]
  #serverHeads: A.Heads | null = null
  #savedCount: number | null = null
  #unsubscribe: (() => void)[] = []

  constructor(
    readonly handle: DocHandle<PlanDoc>,
    private readonly connection: Connection,
    private readonly storage: LocalStorageAdapter,
    readonly owner: string,
  ) {
    this.#earlierAcknowledged = readHeads(owner, handle.documentId)
    this.#acknowledged = this.#earlierAcknowledged[0] ?? []
    handle.on("heads-changed", this.#resync)
    handle.on("remote-heads", this.#onRemoteHeads)
    this.#unsubscribe = [connection.subscribe(() => this.#readHeads()), storage.subscribe(this.#resync)]
    this.#readHeads()
  }

  /** Stops tracking a document that is removed from this device. */
  close(): void {
    this.handle.off("heads-changed", this.#resync)
    this.handle.off("remote-heads", this.#onRemoteHeads)
    for (const unsubscribe of this.#unsubscribe) unsubscribe()
    this.#listeners.clear()
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  #onRemoteHeads = ({ storageId, heads }: DocHandleRemoteHeadsPayload): void => {
    // Other tabs announce heads, too.
    if (storageId !== this.connection.storageId) return
    this.#serverHeads = decodeHeads(heads)
    this.#resync()
  }

  /** Whether the server has said which changes it has, and this copy contains them all. */
  get isCurrent(): boolean {
    return this.#serverHeads !== null && containsHeads(this.handle.doc(), this.#serverHeads)
  }

  /** Resolves when something of the document is stored on this device, or it could not be saved. */
  whenStored(): Promise<void> {
    return this.storage.whenStored(this.handle.documentId)
  }

  /** Reads heads that the server sent before this object subscribed. */
  #readHeads(): void {
    const { storageId } = this.connection
    const syncInfo = storageId === null ? undefined : this.handle.getSyncInfo(storageId as StorageId)
    if (syncInfo) this.#serverHeads = decodeHeads(syncInfo.lastHeads)
    this.#resync()
  }

  #resync = (): void => {
    const doc = this.handle.doc()
    const isBehind = this.#serverHeads !== null && !containsHeads(doc, this.#serverHeads)
    if (this.#serverHeads && !isBehind) {
      this.#acknowledged = this.#serverHeads
      saveHeads(this.owner, this.handle.documentId, this.#serverHeads)
    }
    // Ignore heads that this copy does not contain, for example after the browser evicted part of its storage.
    const known = containsHeads(doc, this.#acknowledged)
      ? this.#acknowledged
      : (this.#earlierAcknowledged.find((heads) => containsHeads(doc, heads)) ?? [])
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

const MAX_SAVED_HEADS = 3

function readHeads(owner: string, id: string): A.Heads[] {
  try {
    const read = JSON.parse(localStorage.getItem(planKey("heads", owner, id)) ?? "[]") as unknown
    return Array.isArray(read) && read.every(Array.isArray) ? (read as A.Heads[]) : []
  } catch {
    return []
  }
}

/** Called in handlers of the repository, where an error would leave the handle with an outdated document. */
function saveHeads(owner: string, id: string, heads: A.Heads): void {
  const before = readHeads(owner, id)
  if (JSON.stringify(before[0]) === JSON.stringify(heads)) return
  storeItem(planKey("heads", owner, id), JSON.stringify([heads, ...before].slice(0, MAX_SAVED_HEADS)))
}
