/** Client of the table worker. */
import type { TableCommand, TableMessage, TableMethod, TableRequests } from "./protocol"

export class TableClient {
  #worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module", name: "tables" })
  #pending = new Map<number, { resolve: (result: never) => void; reject: (reason: Error) => void }>()
  #next = 0

  constructor() {
    this.#worker.onmessage = ({ data }: MessageEvent<TableMessage>) => {
      const pending = this.#pending.get(data.id)
      this.#pending.delete(data.id)
      if ("reason" in data) pending?.reject(new Error(data.reason))
      else pending?.resolve(data.result as never)
    }
    this.#worker.onerror = (event) => {
      for (const { reject } of this.#pending.values()) reject(new Error(event.message || "The table worker could not be started."))
      this.#pending.clear()
    }
  }

  request<M extends TableMethod>(method: M, params: TableRequests[M]["params"]): Promise<TableRequests[M]["result"]> {
    const id = this.#next
    this.#next += 1
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject })
      this.#worker.postMessage({ id, method, params } as TableCommand)
    })
  }

  close(): void {
    this.#worker.terminate()
  }
}

/** Runs one request in a worker of its own. */
export async function requestOnce<M extends TableMethod>(
  method: M,
  params: TableRequests[M]["params"],
): Promise<TableRequests[M]["result"]> {
  const client = new TableClient()
  try {
    return await client.request(method, params)
  } finally {
    client.close()
  }
}
