/**
 * Detects dead connections. JavaScript cannot see WebSocket pings, and a socket does not detect a broken route while the local network
 * works. After a long silence the heartbeat requests `/healthz`.
 */

/** Maximum wait for an answer, and maximum time without any message. */
const ANSWER_TIMEOUT_MS = 10_000
const MAX_SILENCE_MS = 30_000
/** Timeout of the health request. */
const PROBE_TIMEOUT_MS = 5_000
const CHECK_INTERVAL_MS = 5_000

interface HeartbeatTarget {
  isOpen(): boolean
  /** Bytes that have not been sent yet. */
  buffered(): number
  /** Called when the server does not answer. */
  onUnreachable(): void
}

export class Heartbeat {
  #receivedAt = Date.now()
  /** Time of the oldest message without an answer. */
  #awaitingSince: number | null = null
  #buffered = 0
  #isProbing = false
  #timer: ReturnType<typeof setInterval> | undefined

  constructor(private readonly target: HeartbeatTarget) {
    // No timer while the page is hidden: it would keep a phone awake.
    const watch = () => {
      clearInterval(this.#timer)
      if (document.hidden) return
      this.#timer = setInterval(() => this.#check(), CHECK_INTERVAL_MS)
      this.#check()
    }
    document.addEventListener("visibilitychange", watch)
    watch()
  }

  received(): void {
    this.#receivedAt = Date.now()
    this.#awaitingSince = null
  }

  /** A message was sent that usually gets an answer. */
  sent(): void {
    this.#awaitingSince ??= Date.now()
  }

  #check(): void {
    if (!this.target.isOpen()) return
    // Progress of a large upload counts as activity.
    const buffered = this.target.buffered()
    if (buffered < this.#buffered) this.received()
    this.#buffered = buffered
    const now = Date.now()
    const isSilent =
      now - this.#receivedAt >= MAX_SILENCE_MS || (this.#awaitingSince !== null && now - this.#awaitingSince >= ANSWER_TIMEOUT_MS)
    if (isSilent) void this.#probe()
  }

  async #probe(): Promise<void> {
    if (this.#isProbing) return
    this.#isProbing = true
    const before = this.#receivedAt
    try {
      // Any HTTP status proves that the server is reachable.
      await fetch("healthz", { cache: "no-store", signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) })
      this.received()
    } catch {
      if (this.target.isOpen() && this.#receivedAt === before) this.target.onUnreachable()
    } finally {
      this.#isProbing = false
    }
  }
}
