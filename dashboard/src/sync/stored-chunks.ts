/**
 * The stored chunks of a document: snapshots and later changes, as the storage adapter of automerge-repo writes them. Workers read and replace
 * them without the page.
 */

/** The object store of the adapter. */
export const CHUNK_STORE = "documents"

export interface StoredChunk {
  key: string[]
  binary: Uint8Array
}

/** Where the chunks of a document are. */
export interface ChunkPlace {
  /** Name of the database. */
  database: string
  document: string
}

/** The chunks of a document, snapshots first; none if there is no database. */
export async function readChunks({ database, document }: ChunkPlace): Promise<StoredChunk[]> {
  const opened = await open(database)
  if (!opened) return []
  try {
    return await readChunksFrom(opened, document)
  } finally {
    opened.close()
  }
}

/** Reads the chunks of a document in one transaction, snapshots first. */
export async function readChunksFrom(database: IDBDatabase, document: string): Promise<StoredChunk[]> {
  const store = database.transaction(CHUNK_STORE).objectStore(CHUNK_STORE)
  const kinds = await Promise.all(
    ["snapshot", "incremental"].map((kind) => result(store.getAll(IDBKeyRange.bound([document, kind], [document, kind, "\uffff"])))),
  )
  return kinds.flat() as StoredChunk[]
}

/**
 * Replaces chunks by one that contains all of them. Does nothing if one of them is gone: the document was removed, or another tab has replaced
 * its chunks. Returns whether they were replaced.
 */
export async function replaceChunks({ database }: ChunkPlace, old: readonly StoredChunk[], next: StoredChunk): Promise<boolean> {
  const opened = await open(database)
  if (!opened) return false
  try {
    const transaction = opened.transaction(CHUNK_STORE, "readwrite")
    const done = new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve()
      transaction.onabort = () => reject(transaction.error ?? new Error("The browser aborted the write."))
    })
    const store = transaction.objectStore(CHUNK_STORE)
    const kept = await Promise.all(old.map(({ key }) => result(store.getKey(key))))
    const areAllThere = kept.every((key) => key !== undefined)
    if (areAllThere) {
      store.put(next, next.key)
      for (const { key } of old) store.delete(key)
    }
    await done
    return areAllThere
  } finally {
    opened.close()
  }
}

/** One chunk after the other, as Automerge loads them. */
export const joinChunks = (chunks: readonly StoredChunk[]): Uint8Array => joinBytes(chunks.map(({ binary }) => binary))

export function joinBytes(parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    joined.set(part, at)
    at += part.length
  }
  return joined
}

const result = <T>(request: IDBRequest<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })

/** Opens the database of the page. One that does not exist is not created: the adapter would find it without its store. */
function open(name: string): Promise<IDBDatabase | null> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(name)
    let isMissing = false
    request.onupgradeneeded = () => {
      isMissing = true
      request.transaction?.abort()
    }
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => (isMissing ? resolve(null) : reject(request.error))
  })
}
