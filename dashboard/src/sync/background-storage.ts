/**
 * Loads and saves documents without more long tasks than necessary. automerge-repo writes the whole document again when the changes since have
 * become as large as it is, which takes long for thousands of positions. Here the page only appends changes, and a worker joins what is stored.
 */
import { next as A } from "@automerge/automerge/slim"
import type { DocumentId, Repo } from "@automerge/automerge-repo/slim"
import { newId } from "../plan/id"
import type { CompactionResult } from "./compaction-worker"
import type { LocalStorageAdapter } from "./local-storage"
import { loadWhole } from "./quick-load"
import { type ChunkPlace, joinBytes, joinChunks } from "./stored-chunks"

type StorageSubsystem = NonNullable<Repo["storageSubsystem"]>

/** Number of bytes of changes from which they are joined with the snapshot, and their share of its size. */
const LEAST = 16 * 1_024
const SHARE = 0.25
/** Number of received bytes from which a new document is loaded at once. Below it, nobody notices the difference. */
const LARGE = 64 * 1_024

/** Number of stored bytes from which loading takes some seconds, of about 25,000 positions. */
const VERY_LARGE = 1_024 * 1_024

/** The storage of a repository with these changes. */
export class BackgroundStorage {
  /** The stored heads of each document. */
  #saved = new Map<DocumentId, A.Heads>()
  #compacting = new Set<DocumentId>()
  /** A very large document is being loaded. The page cannot react meanwhile. */
  isLoadingLarge = false
  #listeners = new Set<() => void>()

  /** `database`: the name of the database of the adapter. */
  constructor(
    private readonly repo: Repo,
    private readonly storage: LocalStorageAdapter,
    private readonly database: string,
  ) {
    if (repo.storageSubsystem) this.#replaceMethods(repo.storageSubsystem)
  }

  #replaceMethods(subsystem: StorageSubsystem): void {
    const saveDoc = subsystem.saveDoc.bind(subsystem)
    subsystem.loadDoc = async <T>(id: DocumentId) => {
      const chunks = await this.storage.loadChunks(id)
      if (chunks.length === 0) return null
      const bytes = joinChunks(chunks)
      if (bytes.length >= VERY_LARGE) await this.#announce()
      const doc = this.#load<T>(bytes)
      this.#notify(false)
      this.#saved.set(id, A.getHeads(doc))
      return doc
    }
    subsystem.saveDoc = async (id: DocumentId, doc: A.Doc<unknown>) => {
      const [since, heads] = [this.#saved.get(id), A.getHeads(doc)]
      if (!since) {
        // A document without a snapshot is saved as a whole, which takes too long to be tried at each edit while the storage is full.
        if (this.storage.isRetryScheduled(id)) return
        await saveDoc(id, doc)
      } else if (since.length === heads.length && since.every((head) => heads.includes(head))) return
      else await this.storage.save([id, "incremental", newId()], A.saveSince(doc, since))
      this.#saved.set(id, heads)
      const { snapshot, changes } = this.storage.sizes(id)
      if (changes >= Math.max(LEAST, snapshot * SHARE)) void this.#compact(id)
    }
  }

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Says that a very large document is about to be loaded, and waits until the page shows it. */
  #announce(): Promise<void> {
    this.#notify(true)
    return new Promise((resolve) => {
      requestAnimationFrame(() => setTimeout(resolve))
      // There are no frames in the background.
      setTimeout(resolve, 200)
    })
  }

  #notify(isLoading: boolean): void {
    if (this.isLoadingLarge === isLoading) return
    this.isLoadingLarge = isLoading
    for (const listener of this.#listeners) listener()
  }

  #load<T>(bytes: Uint8Array): A.Doc<T> {
    try {
      return loadWhole<T>(bytes)
    } catch {
      // A part of the stored changes is missing. The others are kept until the server sends it.
      return A.loadIncremental(A.init<T>(), bytes)
    }
  }

  async #compact(document: DocumentId): Promise<void> {
    if (this.#compacting.has(document)) return
    this.#compacting.add(document)
    const before = this.storage.sizes(document)
    const { size } = await compactInWorker({ database: this.database, document })
    this.#compacting.delete(document)
    // Changes that were saved meanwhile may not be in the snapshot.
    if (size !== null) this.storage.setSizes(document, { snapshot: size, changes: this.storage.sizes(document).changes - before.changes })
  }

  /**
   * Loads a large document that this device does not have from the first message of the server, and stores the same bytes. Returns whether
   * it has done so; the message then has nothing more to bring.
   */
  receiveWhole(id: string, changes: readonly Uint8Array[]): boolean {
    const document = id as DocumentId
    const handle = this.repo.handles[document]
    const bytes = joinBytes(changes)
    if (bytes.length < LARGE || !handle?.inState(["requesting", "unavailable"])) return false
    let doc: A.Doc<unknown>
    try {
      doc = loadWhole(bytes)
    } catch {
      // Not the whole document.
      return false
    }
    this.#saved.set(document, A.getHeads(doc))
    this.storage.save([document, "snapshot", newId()], bytes).catch(() => this.#saved.delete(document))
    handle.update(() => doc)
    return true
  }
}

function compactInWorker(place: ChunkPlace): Promise<CompactionResult> {
  const worker = new Worker(new URL("./compaction-worker.ts", import.meta.url), { type: "module", name: "compaction" })
  const done = new Promise<CompactionResult>((resolve) => {
    worker.onmessage = ({ data }: MessageEvent<CompactionResult>) => resolve(data)
    // The next save tries again.
    worker.onerror = () => resolve({ size: null })
    worker.postMessage(place)
  })
  return done.finally(() => worker.terminate())
}
