/** Unsynced changes of all plans. A repository syncs only loaded documents, so the outbox loads them when the server is reachable. */
import { type DocHandle, isValidDocumentId, type Repo } from "@automerge/automerge-repo/slim"
import type { PlanDoc } from "../plan/schema"
import type { Connection } from "./connection"
import { hasContent } from "./content"
import type { LocalStorageAdapter } from "./local-storage"
import { readPendingCounts, savePendingCount } from "./pending-changes"
import { planKey } from "./storage-keys"
import { SyncStatus } from "./sync-status"

export class Outbox {
  #statuses = new Map<string, SyncStatus>()
  #pending: ReadonlyMap<string, number>
  #listeners = new Set<() => void>()
  #isSending = false

  constructor(
    private readonly repo: Repo,
    private readonly connection: Connection,
    private readonly storage: LocalStorageAdapter,
    private readonly owner: string,
  ) {
    this.#pending = readPendingCounts(owner)
    connection.subscribe(() => {
      if (connection.isOpen) void this.#send()
    })
    // Other tabs change plans, too.
    window.addEventListener("storage", ({ key }) => {
      if (key?.startsWith(planKey("unsent", owner, ""))) this.#refresh()
    })
  }

  /** The sync status of a document, tracked from now on. */
  statusOf(handle: DocHandle<PlanDoc>): SyncStatus {
    let status = this.#statuses.get(handle.documentId)
    if (!status) {
      status = new SyncStatus(handle, this.connection, this.storage, this.owner)
      status.subscribe(() => this.#refresh())
      this.#statuses.set(handle.documentId, status)
      this.#refresh()
    }
    return status
  }

  /** Removes a document from this device. */
  remove(id: string): void {
    this.#statuses.get(id)?.close()
    this.#statuses.delete(id)
    savePendingCount(this.owner, id, 0)
    if (isValidDocumentId(id)) this.repo.delete(id)
    this.#refresh()
  }

  /** Number of unsynced changes by plan. */
  pendingChanges = (): ReadonlyMap<string, number> => this.#pending

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Loads one plan at a time, so that the open plan stays responsive. */
  async #send(): Promise<void> {
    if (this.#isSending) return
    this.#isSending = true
    for (const id of readPendingCounts(this.owner).keys()) {
      if (this.#statuses.has(id)) continue
      try {
        const handle = isValidDocumentId(id) ? await this.repo.find<PlanDoc>(id, { allowableStates: ["ready", "unavailable"] }) : null
        if (handle && hasContent(handle)) this.statusOf(handle)
        // There is no local copy, so nothing to send.
        else savePendingCount(this.owner, id, 0)
      } catch {
        // The document cannot be loaded now; the count stays for the next attempt.
      }
    }
    this.#isSending = false
    this.#refresh()
  }

  #refresh(): void {
    const now = readPendingCounts(this.owner)
    if (now.size === this.#pending.size && [...now].every(([id, changes]) => this.#pending.get(id) === changes)) return
    this.#pending = now
    for (const listener of this.#listeners) listener()
  }
}
