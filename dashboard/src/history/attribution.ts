/**
 * Which user submitted each change, as recorded by the server. Every change also claims an author, but that claim is unverified. Requires a
 * connection.
 */

/** The user that submitted a change; `null` if the server recorded none. */
interface AttributedChange {
  hash: string
  user: string | null
}

/** Maximum number of changes per request. */
const MAX_CHANGES = 100
const TIMEOUT_MS = 10_000

export class Attribution {
  /** `null`: the server has no record of the change. */
  #users = new Map<string, string | null>()
  #requested: readonly string[] = []
  #isComplete = false
  /** Changes that were missing from an answer before all local changes had reached the server. They are requested again later. */
  #notYetOnServer = new Set<string>()
  #isFetching = false
  #abort = new AbortController()

  constructor(
    readonly document: string,
    private readonly onUsers: (users: ReadonlyMap<string, string>) => void,
  ) {}

  /**
   * Requests the users of those changes that are not known yet. One request runs at a time. `isComplete`: the server has all of these
   * changes, so a change missing from its answer stays unknown.
   */
  request(hashes: readonly string[], isComplete: boolean): void {
    this.#requested = hashes
    this.#isComplete = isComplete
    this.#notYetOnServer.clear()
    void this.#fetchUnknown()
  }

  close(): void {
    this.#abort.abort()
  }

  async #fetchUnknown(): Promise<void> {
    if (this.#isFetching) return
    this.#isFetching = true
    for (let hashes = this.#unknown(); hashes.length > 0; hashes = this.#unknown()) {
      const [isComplete, requested] = [this.#isComplete, this.#requested]
      const found = await this.#fetch(hashes)
      // The request failed; the next call of `request` tries again.
      if (!found) break
      for (const { hash, user } of found) this.#users.set(hash, user)
      for (const hash of hashes) {
        if (this.#users.has(hash)) continue
        if (isComplete) this.#users.set(hash, null)
        else if (this.#requested === requested) this.#notYetOnServer.add(hash)
      }
      this.onUsers(new Map([...this.#users].flatMap(([hash, user]): [string, string][] => (user === null ? [] : [[hash, user]]))))
    }
    this.#isFetching = false
  }

  #unknown(): string[] {
    return this.#requested.filter((hash) => !this.#users.has(hash) && !this.#notYetOnServer.has(hash)).slice(0, MAX_CHANGES)
  }

  /** `null`: the request failed. */
  async #fetch(hashes: readonly string[]): Promise<readonly AttributedChange[] | null> {
    try {
      const response = await fetch(`api/documents/${this.document}/attribution?changes=${hashes.join(",")}`, {
        // User names must not stay in the HTTP cache after a logout.
        cache: "no-store",
        signal: AbortSignal.any([this.#abort.signal, AbortSignal.timeout(TIMEOUT_MS)]),
      })
      return response.ok ? ((await response.json()) as { changes: AttributedChange[] }).changes : null
    } catch {
      return null
    }
  }
}
