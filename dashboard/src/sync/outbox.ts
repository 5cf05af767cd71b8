/** What has not gone out, of all plans: a repository syncs only documents that it has loaded, so they are loaded when the server is there. */
import { type DocHandle, isValidDocumentId, type Repo } from "@automerge/automerge-repo/slim"
import type { PlanDoc } from "../plan/schema"
import type { Connection } from "./connection"
import type { LocalCopies } from "./copies"
import { planKey } from "./remembered"
import { Standing } from "./standing"
import { noteUnsent, readUnsent } from "./unsent"

export class Outbox {
  #standings = new Map<string, Standing>()
  #waiting: ReadonlyMap<string, number>
  #listeners = new Set<() => void>()
  #isSending = false

  constructor(
    private readonly repo: Repo,
    private readonly connection: Connection,
    private readonly copies: LocalCopies,
    private readonly owner: string,
  ) {
    this.#waiting = readUnsent(owner)
    connection.subscribe(() => {
      if (connection.isOpen) void this.#send()
    })
    // Other tabs change plans, too.
    window.addEventListener("storage", ({ key }) => {
      if (key?.startsWith(planKey("unsent", owner, ""))) this.#refresh()
    })
  }

  /** How a document stands to the server; watched from now on. */
  of(handle: DocHandle<PlanDoc>): Standing {
    let standing = this.#standings.get(handle.documentId)
    if (!standing) {
      standing = new Standing(handle, this.connection, this.copies, this.owner)
      standing.subscribe(() => this.#refresh())
      this.#standings.set(handle.documentId, standing)
      this.#refresh()
    }
    return standing
  }

  /** Changes by plan. */
  waiting = (): ReadonlyMap<string, number> => this.#waiting

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** One plan after the other: a large one takes its time, and the page has its own to show. */
  async #send(): Promise<void> {
    if (this.#isSending) return
    this.#isSending = true
    for (const id of readUnsent(this.owner).keys()) {
      if (this.#standings.has(id)) continue
      try {
        const handle = isValidDocumentId(id) ? await this.repo.find<PlanDoc>(id, { allowableStates: ["ready", "unavailable"] }) : null
        if (handle?.isReady()) this.of(handle)
        // There is no copy of it here, and so nothing that could go out.
        else noteUnsent(this.owner, id, 0)
      } catch {
        // It cannot be read now; it stays noted.
      }
    }
    this.#isSending = false
    this.#refresh()
  }

  #refresh(): void {
    const now = readUnsent(this.owner)
    if (now.size === this.#waiting.size && [...now].every(([id, changes]) => this.#waiting.get(id) === changes)) return
    this.#waiting = now
    for (const listener of this.#listeners) listener()
  }
}
