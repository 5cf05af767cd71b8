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

interface Watched {
  isOpen(): boolean
  /** Bytes that have not left yet. */
  buffered(): number
  /** Nobody is there any more. */
  onDead(): void
}

export class Pulse {
  #heardAt = Date.now()
  /** Since when there is no answer. */
  #askedAt: number | null = null
  #buffered = 0
  #isAsking = false
  #timer: ReturnType<typeof setInterval> | undefined

  constructor(private readonly watched: Watched) {
    // Nobody looks at a hidden page, and a timer keeps a phone awake.
    const watch = () => {
      clearInterval(this.#timer)
      if (document.hidden) return
      this.#timer = setInterval(() => this.#look(), TICK)
      this.#look()
    }
    document.addEventListener("visibilitychange", watch)
    watch()
  }

  heard(): void {
    this.#heardAt = Date.now()
    this.#askedAt = null
  }

  /** Something was sent to which there is an answer, mostly. */
  sent(): void {
    this.#askedAt ??= Date.now()
  }

  #look(): void {
    if (!this.watched.isOpen()) return
    // What is large goes out for long, and needs the line for itself.
    const buffered = this.watched.buffered()
    if (buffered < this.#buffered) this.heard()
    this.#buffered = buffered
    const now = Date.now()
    const isSilent = now - this.#heardAt >= SILENT || (this.#askedAt !== null && now - this.#askedAt >= UNANSWERED)
    if (isSilent) void this.#ask()
  }

  async #ask(): Promise<void> {
    if (this.#isAsking) return
    this.#isAsking = true
    const before = this.#heardAt
    try {
      // Any answer is one: there is a way to the server.
      await fetch("healthz", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) })
      this.heard()
    } catch {
      if (this.watched.isOpen() && this.#heardAt === before) this.watched.onDead()
    } finally {
      this.#isAsking = false
    }
  }
}
