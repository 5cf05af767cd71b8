/** How one document stands to the server: what the server has on its disk, and what is still to go there. */
import { next as A } from "@automerge/automerge/slim"
import { type DocHandle, type DocHandleRemoteHeadsPayload, decodeHeads, type StorageId } from "@automerge/automerge-repo/slim"
import type { PlanDoc } from "../plan/schema"
import type { Connection, Refused } from "./connection"
import type { LocalCopies } from "./copies"
import { planKey } from "./remembered"
import { noteUnsent } from "./unsent"

export interface SyncState {
  kind: "live" | "syncing" | "offline" | "not-allowed" | "not-accepted"
  /** Changes that the server has not got on its disk. */
  waiting: number
  refused: Refused | null
  /** Why the server does not accept the changes that wait; null: it does. */
  notAccepted: string | null
  /** Why the last changes are not on this device; null: they are. */
  unsaved: string | null
}

/** For as long as the page is there, whether the document is open or not: what waits goes out all the same. */
export class Standing {
  state: SyncState = { kind: "offline", waiting: 0, refused: null, notAccepted: null, unsaved: null }
  #listeners = new Set<() => void>()
  /** The server's heads that this copy has, and the newest that it has said. */
  #acknowledged: A.Heads
  /** What the server had before, the latest first: a browser that ends at once may have kept that and not the newest. */
  #earlier: A.Heads[]
  #server: A.Heads | null = null
  #noted: number | null = null

  constructor(
    readonly handle: DocHandle<PlanDoc>,
    private readonly connection: Connection,
    private readonly copies: LocalCopies,
    readonly owner: string,
  ) {
    this.#earlier = readHeads(owner, handle.documentId)
    this.#acknowledged = this.#earlier[0] ?? []
    handle.on("heads-changed", () => this.#resync())
    handle.on("remote-heads", this.#onRemoteHeads)
    connection.subscribe(() => this.#readHeads())
    copies.subscribe(() => this.#resync())
    this.#readHeads()
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  #onRemoteHeads = ({ storageId, heads }: DocHandleRemoteHeadsPayload): void => {
    // Other tabs tell of theirs as well.
    if (storageId !== this.connection.storageId) return
    this.#server = decodeHeads(heads)
    this.#resync()
  }

  /** What the server has said before anybody listened. */
  #readHeads(): void {
    const { storageId } = this.connection
    const said = storageId === null ? undefined : this.handle.getSyncInfo(storageId as StorageId)
    if (said) this.#server = decodeHeads(said.lastHeads)
    this.#resync()
  }

  #resync(): void {
    const doc = this.handle.doc()
    const isBehind = this.#server !== null && !has(doc, this.#server)
    if (this.#server && !isBehind) {
      this.#acknowledged = this.#server
      saveHeads(this.owner, this.handle.documentId, this.#server)
    }
    // Heads of another copy (the browser's storage was cleared in part) say nothing about this one.
    const known = has(doc, this.#acknowledged) ? this.#acknowledged : (this.#earlier.find((heads) => has(doc, heads)) ?? [])
    const waiting = A.getChangesMetaSince(doc, known).length
    if (this.#noted !== waiting) noteUnsent(this.owner, this.handle.documentId, waiting)
    this.#noted = waiting
    const { isOpen, refused } = this.connection
    if (waiting === 0) this.connection.accepted(this.handle.documentId)
    const notAccepted = isOpen ? this.connection.refusal(this.handle.documentId) : null
    const online = notAccepted !== null ? "not-accepted" : waiting > 0 || isBehind ? "syncing" : "live"
    const kind = refused ? "not-allowed" : isOpen ? online : "offline"
    const unsaved = this.copies.problem(this.handle.documentId)
    const { state } = this
    const isSame = state.kind === kind && state.waiting === waiting && state.refused === refused
    if (isSame && state.notAccepted === notAccepted && state.unsaved === unsaved) return
    this.state = { kind, waiting, refused, notAccepted, unsaved }
    for (const listener of this.#listeners) listener()
  }
}

/** (`A.hasHeads` makes each of these changes again, which takes long for a large one.) */
function has(doc: A.Doc<unknown>, heads: A.Heads): boolean {
  const missing = new Set(A.getMissingDeps(doc, heads))
  return !heads.some((head) => missing.has(head))
}

const KEPT = 3

function readHeads(owner: string, id: string): A.Heads[] {
  try {
    const read = JSON.parse(localStorage.getItem(planKey("heads", owner, id)) ?? "[]") as unknown
    return Array.isArray(read) && read.every(Array.isArray) ? (read as A.Heads[]) : []
  } catch {
    return []
  }
}

function saveHeads(owner: string, id: string, heads: A.Heads): void {
  const before = readHeads(owner, id)
  if (JSON.stringify(before[0]) === JSON.stringify(heads)) return
  localStorage.setItem(planKey("heads", owner, id), JSON.stringify([heads, ...before].slice(0, KEPT)))
}
