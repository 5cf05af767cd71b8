/**
 * The stock WebSocket adapter with connection state, faster reconnects, and the reasons why the server denied access or rejected changes.
 */
import { next as A } from "@automerge/automerge/slim"
import { cbor, type PeerId, type PeerMetadata } from "@automerge/automerge-repo/slim"
import { WebSocketClientAdapter } from "@automerge/automerge-repo-network-websocket"
import { Heartbeat } from "./heartbeat"
import { readRejection } from "./rejection"

/** Close codes of the server. */
const NOT_LOGGED_IN = 4401
const NOT_ALLOWED = 4403

export type AccessError = "not-logged-in" | "not-allowed"

/** Size of a message from which it may bring a large document. Smaller ones are not decoded twice. */
const LARGE_MESSAGE = 64 * 1_024
const RETRY_MS = 5_000
/** Maximum time for a connection attempt. */
const CONNECT_TIMEOUT_MS = 20_000
/** After this time in the background a device may have slept. */
const SLEEP_MS = 60_000

export class Connection extends WebSocketClientAdapter {
  /** The connection is established. */
  isOpen = false
  /** Storage id of the server; `null` before its first message. */
  storageId: string | null = null
  accessError: AccessError | null = null
  /** Reason for rejected changes by document id, until the server accepts them or the connection ends. */
  #rejections = new Map<string, string>()
  #listeners = new Set<() => void>()
  #reconnect: (() => void) | null = null
  #attemptedAt = 0
  #heartbeat = new Heartbeat({
    isOpen: () => this.#state === WebSocket.OPEN,
    buffered: () => (this.socket as WebSocket | undefined)?.bufferedAmount ?? 0,
    onUnreachable: () => {
      this.#drop()
      this.#reconnectNow()
    },
  })

  constructor(url: string) {
    super(url, RETRY_MS)
    this.on("peer-candidate", ({ peerMetadata }) => {
      this.isOpen = true
      this.accessError = null
      this.#rejections.clear()
      this.storageId = peerMetadata?.storageId ?? null
      this.#notify()
    })
    this.on("peer-disconnected", () => {
      this.isOpen = false
      this.#notify()
    })
    // A socket does not detect a lost network, or that the device has slept.
    window.addEventListener("offline", () => this.#drop())
    // Reconnect immediately when the network returns.
    window.addEventListener("online", () => this.#reconnectNow())
    let hiddenAt = 0
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) {
        hiddenAt = Date.now()
        return
      }
      if (Date.now() - hiddenAt > SLEEP_MS) this.#drop()
      this.#reconnectNow()
    })
  }

  override connect(peerId: PeerId, metadata?: PeerMetadata): void {
    // The server would deny access again. The page reloads the session and reconnects after a login.
    if (this.accessError) return
    this.#reconnect = () => this.connect(peerId, metadata)
    // The timers of the adapter can fire late: keep a connection that is open or being opened.
    const state = this.#state
    if (state === WebSocket.OPEN || (state === WebSocket.CONNECTING && Date.now() - this.#attemptedAt < CONNECT_TIMEOUT_MS)) return
    // A replaced socket does not report that it closed.
    if (this.isOpen && this.remotePeerId) this.emit("peer-disconnected", { peerId: this.remotePeerId })
    this.#attemptedAt = Date.now()
    super.connect(peerId, metadata)
    const socket = this.socket as WebSocket | undefined
    socket?.addEventListener("open", () => this.#heartbeat.received())
    socket?.addEventListener("close", (event) => {
      if ((this.socket as WebSocket | undefined) !== socket) return
      this.isOpen = false
      if (event.code === NOT_LOGGED_IN || event.code === NOT_ALLOWED) {
        this.accessError = event.code === NOT_LOGGED_IN ? "not-logged-in" : "not-allowed"
      }
      this.#notify()
    })
  }

  override send(message: Parameters<WebSocketClientAdapter["send"]>[0]): void {
    if (message.type === "sync" || message.type === "request") this.#heartbeat.sent()
    super.send(message)
  }

  /** Loads a document that a message brings as a whole. Returns whether it has done so. */
  receiveWhole: (documentId: string, changes: readonly Uint8Array[]) => boolean = () => false

  override receiveMessage(bytes: Parameters<WebSocketClientAdapter["receiveMessage"]>[0]): void {
    this.#heartbeat.received()
    const rejection = readRejection(new Uint8Array(bytes))
    if (rejection) {
      this.#rejections.set(rejection.documentId, rejection.reason)
      this.#notify()
    }
    super.receiveMessage(this.#withoutWhole(bytes))
  }

  /** A message without the document that it brings as a whole, once that is loaded. Other messages stay as they are. */
  #withoutWhole(bytes: Uint8Array): Uint8Array {
    if (bytes.byteLength < LARGE_MESSAGE) return bytes
    const message = cbor.decode(new Uint8Array(bytes)) as { type: string; documentId: string; data: Uint8Array }
    if (message.type !== "sync") return bytes
    const sync = A.decodeSyncMessage(message.data)
    if (sync.changes.length === 0 || !this.receiveWhole(message.documentId, sync.changes)) return bytes
    return cbor.encode({ ...message, data: A.encodeSyncMessage({ ...sync, changes: [] }) })
  }

  /** Why the server rejected changes to this document; `null` if it did not. */
  rejection(documentId: string): string | null {
    return this.#rejections.get(documentId) ?? null
  }

  /** The server has all changes to this document, so earlier rejections no longer apply. */
  clearRejection(documentId: string): void {
    this.#rejections.delete(documentId)
  }

  get #state(): number | undefined {
    return (this.socket as WebSocket | undefined)?.readyState
  }

  /** Closes a connection that may be dead. */
  #drop(): void {
    if (this.#state === WebSocket.OPEN) this.disconnect()
  }

  /** Reconnects immediately if there is no connection. */
  #reconnectNow(): void {
    if (this.#state === undefined || this.#state === WebSocket.CLOSED) this.#reconnect?.()
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  #notify(): void {
    for (const listener of this.#listeners) listener()
  }
}
