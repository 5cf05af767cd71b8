/** As much of IndexedDB as the storage adapter of automerge-repo uses. A transaction reads what was stored when it began. */
interface Entry {
  key: string[]
  binary: Uint8Array
}

interface Bounds {
  lower: string[]
  upper: string[]
}

export class FakeDatabase {
  entries = new Map<string, Entry>()
  isFull = false
  /** Number of attempts to write. */
  attempts = 0
  /** Runs after a transaction that only reads has begun. */
  onRead: () => void = () => undefined

  put(key: string[], binary: Uint8Array): void {
    this.entries.set(JSON.stringify(key), { key, binary })
  }

  transaction(_store: string, mode = "readonly") {
    const stored = [...this.entries.values()]
    const writes: (() => void)[] = []
    const inRange = ({ lower, upper }: Bounds) =>
      stored.filter(({ key }) => lower.every((part, at) => key[at] === part) && upper.length > lower.length)
    const store = {
      put: (entry: Entry, key: string[]) => writes.push(() => this.put(key, entry.binary)),
      delete: (key: string[]) => writes.push(() => this.entries.delete(JSON.stringify(key))),
      get: (key: string[]) => answer(stored.find((entry) => JSON.stringify(entry.key) === JSON.stringify(key))),
      getAll: (bounds: Bounds) => answer(inRange(bounds)),
      openCursor: (bounds: Bounds) => {
        const left = inRange(bounds)
        const request = answer<unknown>(null)
        const next = () => {
          const value = left.shift()
          const cursor = value && { value, key: value.key, continue: () => queueMicrotask(next) }
          request.result = cursor ?? null
          request.onsuccess?.({ target: request })
        }
        request.isCursor = true
        queueMicrotask(next)
        return request
      },
    }
    const transaction = {
      error: null as DOMException | null,
      oncomplete: () => undefined as unknown,
      onabort: () => undefined as unknown,
      objectStore: () => store,
      commit: () => {
        this.attempts += 1
        queueMicrotask(() => {
          if (this.isFull) {
            transaction.error = new DOMException("full", "QuotaExceededError")
            transaction.onabort()
            return
          }
          for (const write of writes) write()
          transaction.oncomplete()
        })
      },
    }
    if (mode === "readonly") this.onRead()
    return transaction
  }
}

interface Answer<T> {
  result: T
  isCursor?: boolean
  onsuccess?: (event: { target: unknown }) => void
  onerror?: () => void
}

function answer<T>(result: T): Answer<T> {
  const request: Answer<T> = { result }
  queueMicrotask(() => {
    if (!request.isCursor) request.onsuccess?.({ target: request })
  })
  return request
}

/** The globals of a browser with this database. */
export const globalsWith = (database: FakeDatabase) => ({
  indexedDB: { open: () => answer(database) },
  IDBKeyRange: { bound: (lower: string[], upper: string[]): Bounds => ({ lower, upper }) },
})
