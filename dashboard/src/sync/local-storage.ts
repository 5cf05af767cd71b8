/** The copies on this device: the stock IndexedDB adapter, which says when it could not write, and why. */
import { IndexedDBStorageAdapter } from "@automerge/automerge-repo-storage-indexeddb"

const STORE = "documents"
/** After so long what could not be written is tried again. */
const RETRY = 10_000
/** Kinds of entries that hold changes. */
const CHANGES = new Set(["snapshot", "incremental"])

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

  /** Why the last changes of this document are not on this device; null: they are, or will be in a moment. */
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
      // A document is saved from where it was saved last: this was all that was missing.
      if (CHANGES.has(kind) && this.#writeErrors.delete(document)) this.#notify()
    } catch (error) {
      if (CHANGES.has(kind)) {
        this.#writeErrors.set(document, reason(error))
        this.#notify()
        window.setTimeout(() => this.saveAgain(document), RETRY)
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

  /** (The stock adapter waits for ever for a transaction that the browser gives up, as it does when there is no room.) */
  async #write(work: (store: IDBObjectStore) => void): Promise<void> {
    const database = await (this as unknown as { dbPromise: Promise<IDBDatabase> }).dbPromise
    const transaction = database.transaction(STORE, "readwrite")
    const isDone = new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve()
      transaction.onabort = () => reject(transaction.error ?? new Error("The browser gave up."))
    })
    work(transaction.objectStore(STORE))
    await isDone
  }

  #notify(): void {
    for (const listener of this.#listeners) listener()
  }
}

function reason(error: unknown): string {
  if (error instanceof DOMException && error.name === "QuotaExceededError") return "There is no room left."
  return error instanceof Error ? error.message : String(error)
}

let isRequested = false

/** Asks the browser, once, to clear nothing away: there is something here now that may be nowhere else. */
export function requestPersistentStorage(): void {
  if (isRequested) return
  isRequested = true
  navigator.storage?.persist?.().catch(() => undefined)
}
