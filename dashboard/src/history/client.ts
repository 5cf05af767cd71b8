/** Client of the history worker: forwards document changes to it and requests history pages. */
import { next as A } from "@automerge/automerge/slim"
import type { ChunkPlace } from "../sync/stored-chunks"
import type { DiscardedEdit } from "./events"
import type { WorkerCommand, WorkerMessage, WorkerRequests } from "./protocol"

export interface HistoryListener {
  loaded(changes: number, discardedEdits: DiscardedEdit[]): void
  conflicts(ids: string[]): void
  progress(share: number | null): void
  failed(reason: string): void
}

export class HistoryClient {
  #worker: Worker
  /** Heads of what the worker has; `null` before it has told what was stored. */
  #sentHeads: A.Heads | null = null
  /** Requests before the worker has the document. */
  #waiting: WorkerCommand[] = []
  #pending = new Map<number, { resolve: (result: never) => void; reject: (reason: Error) => void }>()
  #next = 0
  /** Why the worker failed; `null` while it works. */
  #problem: string | null = null

  /** `place`: where the document is stored. `doc`: reads it as it is now. */
  constructor(
    place: ChunkPlace,
    private readonly doc: () => A.Doc<unknown>,
    listener: HistoryListener,
  ) {
    this.#worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module", name: "history" })
    this.#worker.onmessage = ({ data }: MessageEvent<WorkerMessage>) => {
      switch (data.type) {
        case "opened":
          return this.#begin(data.heads)
        case "progress":
          return listener.progress(data.done / data.total)
        case "loaded":
          listener.progress(null)
          return listener.loaded(data.changes, data.discardedEdits)
        case "conflicts":
          return listener.conflicts(data.ids)
        case "response":
          this.#pending.get(data.id)?.resolve(data.result as never)
          this.#pending.delete(data.id)
          return
        case "error":
          this.#pending.get(data.id)?.reject(new Error(data.reason))
          this.#pending.delete(data.id)
          return
        case "failed":
          return this.#fail(listener, data.reason)
      }
    }
    this.#worker.onerror = (event) => this.#fail(listener, event.message || "The history worker could not be started.")
    this.#post({ type: "open", place }, [])
  }

  /** Sends what the worker does not have. Saving the whole document here would block the page. */
  #begin(stored: A.Heads): void {
    const doc = this.doc()
    const missing = new Set(A.getMissingDeps(doc, stored))
    // Another tab may have stored changes that are not here yet.
    const known = stored.filter((head) => !missing.has(head))
    this.#send(doc, known)
    for (const command of this.#waiting.splice(0)) this.#post(command, [])
  }

  /** Sends the changes since the given heads, also if there are none. */
  #send(doc: A.Doc<unknown>, since: A.Heads): void {
    const bytes = since.length === 0 ? A.save(doc) : A.saveSince(doc, since)
    this.#sentHeads = A.getHeads(doc)
    this.#post({ type: "addChanges", bytes }, [bytes.buffer as ArrayBuffer])
  }

  #fail(listener: HistoryListener, reason: string): void {
    if (this.#problem !== null) return
    this.#problem = reason
    this.#worker.terminate()
    listener.progress(null)
    listener.failed(reason)
    for (const { reject } of this.#pending.values()) reject(new Error(reason))
    this.#pending.clear()
  }

  /** Sends the changes since the last call. */
  update(doc: A.Doc<unknown>): void {
    const sent = this.#sentHeads
    if (this.#problem !== null || sent === null) return
    const heads = A.getHeads(doc)
    if (heads.length === sent.length && heads.every((head) => sent.includes(head))) return
    this.#send(doc, sent)
  }

  request<M extends keyof WorkerRequests>(method: M, params: WorkerRequests[M]["params"]): Promise<WorkerRequests[M]["result"]> {
    if (this.#problem !== null) return Promise.reject(new Error(this.#problem))
    const id = this.#next
    this.#next += 1
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject })
      const command = { type: "request", id, method, params } as WorkerCommand
      if (this.#sentHeads === null) this.#waiting.push(command)
      else this.#post(command, [])
    })
  }

  close(): void {
    this.#worker.terminate()
  }

  #post(message: WorkerCommand, transfer: Transferable[]): void {
    this.#worker.postMessage(message, transfer)
  }
}
