/**
 * Who the server has seen bring changes in. What a change says of itself is only what its maker wrote; where users are known, the
 * server knows better. It cannot be asked without a network: then nothing is known.
 */

/** What the server says of a change. */
interface AttributedChange {
  hash: string
  user: string | null
}

/** As many changes as the server is asked about at once. */
const LIMIT = 100
const PATIENCE = 10_000

export class Attribution {
  /** null: the server does not know. */
  #users = new Map<string, string | null>()
  #requested: readonly string[] = []
  #isComplete = false
  /** Of these the server said nothing when it may not have had them. */
  #notYetOnServer = new Set<string>()
  #isFetching = false
  #abort = new AbortController()

  constructor(
    readonly document: string,
    private readonly onUsers: (users: ReadonlyMap<string, string>) => void,
  ) {}

  /**
   * Asks for those of these changes that are not known yet: one request at a time, for what is wanted by then.
   * `areSaved`: the server has all of them, so that it has nothing to say later of which it says nothing now.
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
      // It cannot be asked now: again when something else is wanted.
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
    return this.#requested.filter((hash) => !this.#users.has(hash) && !this.#notYetOnServer.has(hash)).slice(0, LIMIT)
  }

  /** null: no answer. */
  async #fetch(hashes: readonly string[]): Promise<readonly AttributedChange[] | null> {
    try {
      const response = await fetch(`api/documents/${this.document}/attribution?changes=${hashes.join(",")}`, {
        // Names stay in no cache when one has logged out.
        cache: "no-store",
        signal: AbortSignal.any([this.#abort.signal, AbortSignal.timeout(PATIENCE)]),
      })
      return response.ok ? ((await response.json()) as { changes: AttributedChange[] }).changes : null
    } catch {
      return null
    }
  }
}
