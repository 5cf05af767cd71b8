/** The stock WebSocket adapter, watched: whether the server is there, who it is, and why it sent us away. */
import type { PeerId, PeerMetadata } from "@automerge/automerge-repo/slim"
import { WebSocketClientAdapter } from "@automerge/automerge-repo-network-websocket"

/** The server knows users, and this is none, or one who may not. */
const NOT_LOGGED_IN = 4401
const NOT_ALLOWED = 4403

export type Refused = "not-logged-in" | "not-allowed"

const RETRY = 5_000

export class Connection extends WebSocketClientAdapter {
  /** The server answers. */
  isOpen = false
  /** The id of the server's storage, once it has said it. */
  storageId: string | null = null
  refused: Refused | null = null
  #listeners = new Set<() => void>()
  #again: (() => void) | null = null

  constructor(url: string) {
    super(url, RETRY)
    this.on("peer-candidate", ({ peerMetadata }) => {
      this.isOpen = true
      this.refused = null
      this.storageId = peerMetadata?.storageId ?? null
      this.#tell()
    })
    this.on("peer-disconnected", () => {
      this.isOpen = false
      this.#tell()
    })
    // Nobody who comes out of a tunnel wants to wait for the next try.
    window.addEventListener("online", () => this.hurry())
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.hurry()
    })
  }

  override connect(peerId: PeerId, metadata?: PeerMetadata): void {
    // It would be refused again. The page asks who we are, and begins anew when that has changed.
    if (this.refused) return
    this.#again = () => this.connect(peerId, metadata)
    super.connect(peerId, metadata)
    const socket = this.socket as WebSocket | undefined
    socket?.addEventListener("close", (event) => {
      if ((this.socket as WebSocket | undefined) !== socket) return
      this.isOpen = false
      if (event.code === NOT_LOGGED_IN || event.code === NOT_ALLOWED) {
        this.refused = event.code === NOT_LOGGED_IN ? "not-logged-in" : "not-allowed"
      }
      this.#tell()
    })
  }

  /** Tries at once, if there is no connection. */
  hurry(): void {
    const state = this.socket?.readyState
    if (state === WebSocket.CLOSED || state === WebSocket.CLOSING) this.#again?.()
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  #tell(): void {
    for (const listener of this.#listeners) listener()
  }
}
