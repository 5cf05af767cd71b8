/** The history worker as the page sees it: fed with what the document learns, asked for pages of the past. */
import { next as A } from "@automerge/automerge/slim"
import type { Swallowed } from "./deeds"
import type { FromWorker, Questions, ToWorker } from "./protocol"

export interface HistoryListener {
  read(changes: number, swallowed: Swallowed[]): void
  conflicts(ids: string[]): void
  progress(share: number | null): void
  failed(reason: string): void
}

export class History {
  #worker: Worker
  #fed: A.Heads = []
  #waiting = new Map<number, { resolve: (answer: never) => void; reject: (reason: Error) => void }>()
  #next = 0
  /** Why there is no history; null: there is. */
  #problem: string | null = null

  constructor(doc: A.Doc<unknown>, listener: HistoryListener) {
    this.#worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module", name: "history" })
    this.#worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
      switch (data.type) {
        case "progress":
          return listener.progress(data.done / data.total)
        case "read":
          listener.progress(null)
          return listener.read(data.changes, data.swallowed)
        case "conflicts":
          return listener.conflicts(data.ids)
        case "answer":
          this.#waiting.get(data.id)?.resolve(data.answer as never)
          this.#waiting.delete(data.id)
          return
        case "refused":
          this.#waiting.get(data.id)?.reject(new Error(data.reason))
          this.#waiting.delete(data.id)
          return
        case "failed":
          return this.#fail(listener, data.reason)
      }
    }
    this.#worker.onerror = (event) => this.#fail(listener, event.message || "the history could not be started")
    this.#fed = A.getHeads(doc)
    const bytes = A.save(doc)
    this.#say({ type: "open", bytes }, [bytes.buffer as ArrayBuffer])
  }

  #fail(listener: HistoryListener, reason: string): void {
    if (this.#problem !== null) return
    this.#problem = reason
    this.#worker.terminate()
    listener.progress(null)
    listener.failed(reason)
    for (const { reject } of this.#waiting.values()) reject(new Error(reason))
    this.#waiting.clear()
  }

  /** Tells it of what is new in the document. */
  feed(doc: A.Doc<unknown>): void {
    if (this.#problem !== null) return
    const heads = A.getHeads(doc)
    if (heads.length === this.#fed.length && heads.every((head) => this.#fed.includes(head))) return
    const bytes = A.saveSince(doc, this.#fed)
    this.#fed = heads
    this.#say({ type: "add", bytes }, [bytes.buffer as ArrayBuffer])
  }

  ask<Q extends keyof Questions>(question: Q, ask: Questions[Q]["ask"]): Promise<Questions[Q]["answer"]> {
    if (this.#problem !== null) return Promise.reject(new Error(this.#problem))
    const id = this.#next
    this.#next += 1
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      this.#say({ type: "ask", id, question, ask } as ToWorker, [])
    })
  }

  close(): void {
    this.#worker.terminate()
  }

  #say(message: ToWorker, transfer: Transferable[]): void {
    this.#worker.postMessage(message, transfer)
  }
}
