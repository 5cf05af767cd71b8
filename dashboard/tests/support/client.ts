/** A stock automerge-repo client that stands for other programs. */
import { type DocHandle, type DocumentId, Repo } from "@automerge/automerge-repo"
import { WebSocketClientAdapter } from "@automerge/automerge-repo-network-websocket"
import type { Server } from "./server"

export interface Doc {
  [key: string]: unknown
  positions: Record<string, Record<string, unknown>>
}

export class Client {
  private constructor(
    private readonly repo: Repo,
    readonly handle: DocHandle<Doc>,
  ) {}

  /** Opens the default plan of the server. */
  static async open(server: Server): Promise<Client> {
    const listed = (await (await fetch(`${server.url}/api/documents`)).json()) as { id: string; default: boolean }[]
    const id = listed.find((document) => document.default)?.id as DocumentId
    const repo = new Repo({ network: [new WebSocketClientAdapter(`ws://127.0.0.1:${server.port}/sync`, 200)] })
    return new Client(repo, await repo.find<Doc>(id))
  }

  /** The id of the position with this designation. */
  id(designation: string): string {
    const found = Object.entries(this.handle.doc().positions).find(([, row]) => String(row.designation) === designation)
    if (!found) throw new Error(`there is no ${designation}`)
    return found[0]
  }

  row(id: string): Record<string, unknown> | undefined {
    return this.handle.doc().positions[id]
  }

  async close(): Promise<void> {
    await this.repo.shutdown()
  }
}
