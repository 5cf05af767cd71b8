/** The stock IndexedDB adapter with reporting and retry of failed writes. */
import { IndexedDBStorageAdapter } from "@automerge/automerge-repo-storage-indexeddb"
import { CHUNK_STORE } from "./stored-chunks"

/** Delay before a failed write is retried. */
const RETRY_MS = 10_000
/** Kinds of entries that contain changes. */
const CHANGE_KINDS = new Set(["snapshot", "incremental"])

/** Number of stored bytes of a document. */
export interface StoredSizes {
  snapshot: number
  /** Changes since the snapshot. */
  changes: number
}

export class LocalStorageAdapter extends IndexedDBStorageAdapter {
  #writeErrors = new Map<string, string>()
  #sizes = new Map<string, StoredSizes>()
  #listeners = new Set<() => void>()

  constructor(
    name: string,
    /** Saves a document again. */
    private readonly saveAgain: (document: string) => void,
  ) {
    super(name, CHUNK_STORE)
  }

  /** Why the last changes of a document are not saved on this device; `null` if they are. */
  writeError(document: string): string | null {
    return this.#writeErrors.get(document) ?? null
  }

  sizes(document: string): StoredSizes {
    return this.#sizes.get(document) ?? { snapshot: 0, changes: 0 }
  }

  setSizes(document: string, sizes: StoredSizes): void {
    this.#sizes.set(document, sizes)
  }

  /** Resolves when something of a document is stored on this device, or its changes could not be saved. */
  whenStored(document: string): Promise<void> {
    const isSettled = () => this.#sizes.has(document) || this.#writeErrors.has(document)
    if (isSettled()) return Promise.resolve()
    return new Promise((resolve) => {
      const unsubscribe = this.subscribe(() => {
        if (!isSettled()) return
        unsubscribe()
        resolve()
      })
    })
  }

  override async loadRange(prefix: string[]): ReturnType<IndexedDBStorageAdapter["loadRange"]> {
    const chunks = await super.loadRange(prefix)
    const [document = "", kind = ""] = prefix
    const size = chunks.reduce((sum, { data }) => sum + (data?.length ?? 0), 0)
    if (size > 0 && CHANGE_KINDS.has(kind))
      this.setSizes(document, { ...this.sizes(document), [kind === "snapshot" ? "snapshot" : "changes"]: size })
    return chunks
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  override async save(key: string[], binary: Uint8Array): Promise<void> {
    const [document = "", kind = ""] = key
    try {
      await this.#write((store) => store.put({ key, binary }, key))
      if (!CHANGE_KINDS.has(kind)) return
      const isFirst = !this.#sizes.has(document)
      const before = this.sizes(document)
      const { length } = binary
      this.setSizes(document, kind === "snapshot" ? { snapshot: length, changes: 0 } : { ...before, changes: before.changes + length })
      // A save contains everything since the last successful one, so nothing is missing now.
      if (this.#writeErrors.delete(document) || isFirst) this.#notify()
    } catch (error) {
      if (CHANGE_KINDS.has(kind)) {
        this.#writeErrors.set(document, describeError(error))
        this.#notify()
        window.setTimeout(() => this.saveAgain(document), RETRY_MS)
      }
      throw error
    }
  }

  override remove(key: string[]): Promise<void> {
    return this.#write((store) => store.delete(key))
  }

  override removeRange(prefix: string[]): Promise<void> {
    return this.#write((store) => store.delete(IDBKeyRange.bound(prefix, [...prefix, "\uffff"])))
  }

  /** Unlike the stock adapter, this rejects when the browser aborts the transaction, as it does when storage is full. */
  async #write(work: (store: IDBObjectStore) => void): Promise<void> {
    const database = await (this as unknown as { dbPromise: Promise<IDBDatabase> }).dbPromise
    const transaction = database.transaction(CHUNK_STORE, "readwrite")
    const isDone = new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve()
      transaction.onabort = () => reject(transaction.error ?? new Error("The browser aborted the write."))
    })
    work(transaction.objectStore(CHUNK_STORE))
    // Otherwise the browser waits for the page before it commits, and drops the write of a page that is closed or reloaded.
    transaction.commit()
    await isDone
  }

  #notify(): void {
    for (const listener of this.#listeners) listener()
  }
}

function describeError(error: unknown): string {
  if (error instanceof DOMException && error.name === "QuotaExceededError") return "Storage is full."
  return error instanceof Error ? error.message : String(error)
}

let isRequested = false

/** Asks the browser once not to evict the storage of this page. */
export function requestPersistentStorage(): void {
  if (isRequested) return
  isRequested = true
  navigator.storage?.persist?.().catch(() => undefined)
}
