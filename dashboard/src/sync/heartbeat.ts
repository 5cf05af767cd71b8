/**
 * Whether a connection that looks open still is. A page does not see the server's pings, and a socket does not notice that the way to the
 * server is gone while the device's own network stays: so the server is asked when it has been silent for long.
 */

/** How long what was sent may be without an answer, and how long there may be nothing at all. */
const UNANSWERED = 10_000
const SILENT = 30_000
/** How long the server may take to say that it is there. */
const PATIENCE = 5_000
const TICK = 5_000

interface HeartbeatTarget {
  isOpen(): boolean
  /** Bytes that have not left yet. */
  buffered(): number
  /** Nobody is there any more. */
  onDead(): void
}

export class Heartbeat {
  #receivedAt = Date.now()
  /** Since when there is no answer. */
  #awaitingSince: number | null = null
  #buffered = 0
  #isProbing = false
  #timer: ReturnType<typeof setInterval> | undefined

  constructor(private readonly target: HeartbeatTarget) {
    // Nobody looks at a hidden page, and a timer keeps a phone awake.
    const watch = () => {
      clearInterval(this.#timer)
      if (document.hidden) return
      this.#timer = setInterval(() => this.#check(), TICK)
      this.#check()
    }
    document.addEventListener("visibilitychange", watch)
    watch()
  }

  received(): void {
    this.#receivedAt = Date.now()
    this.#awaitingSince = null
  }

  /** Something was sent to which there is an answer, mostly. */
  sent(): void {
    this.#awaitingSince ??= Date.now()
  }

  #check(): void {
    if (!this.target.isOpen()) return
    // What is large goes out for long, and needs the line for itself.
    const buffered = this.target.buffered()
    if (buffered < this.#buffered) this.received()
    this.#buffered = buffered
    const now = Date.now()
    const isSilent = now - this.#receivedAt >= SILENT || (this.#awaitingSince !== null && now - this.#awaitingSince >= UNANSWERED)
    if (isSilent) void this.#probe()
  }

  async #probe(): Promise<void> {
    if (this.#isProbing) return
    this.#isProbing = true
    const before = this.#receivedAt
    try {
      // Any answer is one: there is a way to the server.
      await fetch("healthz", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) })
      this.received()
    } catch {
      if (this.target.isOpen() && this.#receivedAt === before) this.target.onDead()
    } finally {
      this.#isProbing = false
    }
  }
}
