/**
 * Who the server has seen bring changes in. What a change says of itself is only what its maker wrote; where users are known, the
 * server knows better. It cannot be asked without a network: then nothing is known.
 */

/** What the server says of a change. */
interface Told {
  hash: string
  user: string | null
}

/** As many changes as the server is asked about at once. */
const LIMIT = 100
const PATIENCE = 10_000

export class Witness {
  /** null: the server does not know. */
  #users = new Map<string, string | null>()
  #wanted: readonly string[] = []
  #areSaved = false
  /** Of these the server said nothing when it may not have had them. */
  #unsaved = new Set<string>()
  #isAsking = false
  #end = new AbortController()

  constructor(
    readonly document: string,
    private readonly told: (users: ReadonlyMap<string, string>) => void,
  ) {}

  /**
   * Asks for those of these changes that are not known yet: one request at a time, for what is wanted by then.
   * `areSaved`: the server has all of them, so that it has nothing to say later of which it says nothing now.
   */
  want(hashes: readonly string[], areSaved: boolean): void {
    this.#wanted = hashes
    this.#areSaved = areSaved
    this.#unsaved.clear()
    void this.#ask()
  }

  close(): void {
    this.#end.abort()
  }

  async #ask(): Promise<void> {
    if (this.#isAsking) return
    this.#isAsking = true
    for (let asked = this.#unknown(); asked.length > 0; asked = this.#unknown()) {
      const [areSaved, wanted] = [this.#areSaved, this.#wanted]
      const found = await this.#request(asked)
      // It cannot be asked now: again when something else is wanted.
      if (!found) break
      for (const { hash, user } of found) this.#users.set(hash, user)
      for (const hash of asked) {
        if (this.#users.has(hash)) continue
        if (areSaved) this.#users.set(hash, null)
        else if (this.#wanted === wanted) this.#unsaved.add(hash)
      }
      this.told(new Map([...this.#users].flatMap(([hash, user]): [string, string][] => (user === null ? [] : [[hash, user]]))))
    }
    this.#isAsking = false
  }

  #unknown(): string[] {
    return this.#wanted.filter((hash) => !this.#users.has(hash) && !this.#unsaved.has(hash)).slice(0, LIMIT)
  }

  /** null: no answer. */
  async #request(hashes: readonly string[]): Promise<readonly Told[] | null> {
    try {
      const response = await fetch(`api/documents/${this.document}/attribution?changes=${hashes.join(",")}`, {
        // Names stay in no cache when one has logged out.
        cache: "no-store",
        signal: AbortSignal.any([this.#end.signal, AbortSignal.timeout(PATIENCE)]),
      })
      return response.ok ? ((await response.json()) as { changes: Told[] }).changes : null
    } catch {
      return null
    }
  }
}
