/** Web worker that reads, compares and writes tables, so that large ones do not block the page. */
import { exportTable } from "../plan/table-export"
import type { TableCommand, TableMessage, TableMethod, TableRequests } from "./protocol"
import { TableSession } from "./session"

let session: TableSession | null = null

const post = (message: TableMessage, transfer: Transferable[] = []) => self.postMessage(message, { transfer })

/** Commands are processed one at a time, in the order received. */
let queue: Promise<void> = Promise.resolve()
self.onmessage = ({ data }: MessageEvent<TableCommand>) => {
  queue = queue
    .then(async () => {
      const result = await respond(data)
      post({ id: data.id, result }, result instanceof Uint8Array ? [result.buffer as ArrayBuffer] : [])
    })
    .catch((error: unknown) => post({ id: data.id, reason: String(error) }))
}

async function respond({ method, params }: TableCommand): Promise<TableRequests[TableMethod]["result"]> {
  if (method === "export") return exportTable(params.format, params.table, params.settings)
  if (method === "setPlan") {
    if (session) session.setPlan(params)
    else session = new TableSession(params)
    return null
  }
  if (!session) throw new Error("There is no plan to compare with.")
  switch (method) {
    case "open":
      return session.open(params)
    case "selectSheet":
      return session.selectSheet(params.index)
    case "propose":
      return session.propose(params.headerRow)
    case "review":
      return session.review(params.mapping, params.options)
    case "changes":
      return session.changes(params.mapping, params.options)
  }
}
