/** The stock IndexedDB adapter with reporting and retry of failed writes. */
import { IndexedDBStorageAdapter } from "@automerge/automerge-repo-storage-indexeddb"
import { CHUNK_STORE, readChunksFrom, type StoredChunk } from "./stored-chunks"

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
  /** Timers of documents whose last save failed. */
  #retries = new Map<string, number>()
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

  /**
   * Reads the chunks of a document, snapshots first. The stock adapter reads the two kinds one after the other: if another tab joins them in between,
   * the old snapshot comes without its changes.
   */
  async loadChunks(document: string): Promise<StoredChunk[]> {
    const chunks = await readChunksFrom(await this.#database(), document)
    const sizeOf = (kind: string) => chunks.reduce((sum, { key, binary }) => sum + (key[1] === kind ? binary.length : 0), 0)
    if (chunks.length > 0) this.setSizes(document, { snapshot: sizeOf("snapshot"), changes: sizeOf("incremental") })
    return chunks
  }

  /** Whether the last save of a document failed and the next attempt is scheduled. */
  isRetryScheduled(document: string): boolean {
    return this.#retries.has(document)
  }

  /** The page is about to be closed: nothing waits for its next attempt. */
  cancelRetries(): void {
    for (const timer of this.#retries.values()) window.clearTimeout(timer)
    this.#retries.clear()
  }

  /** Schedules one attempt, however many saves have failed. */
  #scheduleRetry(document: string): void {
    if (this.#retries.has(document)) return
    const timer = window.setTimeout(() => {
      this.#retries.delete(document)
      this.saveAgain(document)
    }, RETRY_MS)
    this.#retries.set(document, timer)
  }

  #cancelRetry(document: string): void {
    window.clearTimeout(this.#retries.get(document))
    this.#retries.delete(document)
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
      this.#cancelRetry(document)
      if (this.#writeErrors.delete(document) || isFirst) this.#notify()
    } catch (error) {
      if (CHANGE_KINDS.has(kind)) {
        this.#writeErrors.set(document, describeError(error))
        this.#notify()
        this.#scheduleRetry(document)
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
    const database = await this.#database()
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

  /** The stock adapter keeps it to itself. */
  #database(): Promise<IDBDatabase> {
    return (this as unknown as { dbPromise: Promise<IDBDatabase> }).dbPromise
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
