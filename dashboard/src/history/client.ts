/** Client of the history worker: forwards document changes to it and requests history pages. */
import { next as A } from "@automerge/automerge/slim"
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
  #sentHeads: A.Heads = []
  #pending = new Map<number, { resolve: (result: never) => void; reject: (reason: Error) => void }>()
  #next = 0
  /** Why the worker failed; `null` while it works. */
  #problem: string | null = null

  constructor(doc: A.Doc<unknown>, listener: HistoryListener) {
    this.#worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module", name: "history" })
    this.#worker.onmessage = ({ data }: MessageEvent<WorkerMessage>) => {
      switch (data.type) {
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
    this.#sentHeads = A.getHeads(doc)
    const bytes = A.save(doc)
    this.#post({ type: "load", bytes }, [bytes.buffer as ArrayBuffer])
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
    if (this.#problem !== null) return
    const heads = A.getHeads(doc)
    if (heads.length === this.#sentHeads.length && heads.every((head) => this.#sentHeads.includes(head))) return
    const bytes = A.saveSince(doc, this.#sentHeads)
    this.#sentHeads = heads
    this.#post({ type: "addChanges", bytes }, [bytes.buffer as ArrayBuffer])
  }

  request<M extends keyof WorkerRequests>(method: M, params: WorkerRequests[M]["params"]): Promise<WorkerRequests[M]["result"]> {
    if (this.#problem !== null) return Promise.reject(new Error(this.#problem))
    const id = this.#next
    this.#next += 1
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject })
      this.#post({ type: "request", id, method, params } as WorkerCommand, [])
    })
  }

  close(): void {
    this.#worker.terminate()
  }

  #post(message: WorkerCommand, transfer: Transferable[]): void {
    this.#worker.postMessage(message, transfer)
  }
}
