/** The stock IndexedDB adapter with reporting and retry of failed writes. */
import { IndexedDBStorageAdapter } from "@automerge/automerge-repo-storage-indexeddb"

const STORE = "documents"
/** Delay before a failed write is retried. */
const RETRY_MS = 10_000
/** Kinds of entries that contain changes. */
const CHANGE_KINDS = new Set(["snapshot", "incremental"])

export class LocalStorageAdapter extends IndexedDBStorageAdapter {
  #writeErrors = new Map<string, string>()
  #listeners = new Set<() => void>()

  constructor(
    name: string,
    /** Saves a document again. */
    private readonly saveAgain: (document: string) => void,
  ) {
    super(name, STORE)
  }

  /** Why the last changes of a document are not saved on this device; `null` if they are. */
  writeError(document: string): string | null {
    return this.#writeErrors.get(document) ?? null
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  override async save(key: string[], binary: Uint8Array): Promise<void> {
    const [document = "", kind = ""] = key
    try {
      await this.#write((store) => store.put({ key, binary }, key))
      // A save contains everything since the last successful one, so nothing is missing now.
      if (CHANGE_KINDS.has(kind) && this.#writeErrors.delete(document)) this.#notify()
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
    const transaction = database.transaction(STORE, "readwrite")
    const isDone = new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve()
      transaction.onabort = () => reject(transaction.error ?? new Error("The browser aborted the write."))
    })
    work(transaction.objectStore(STORE))
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
