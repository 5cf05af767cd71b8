/**
 * Who the server has seen bring changes in. What a change says of itself is only what its maker wrote; where users are known, the
 * server knows better. It cannot be asked without a network: then nothing is known.
 */

interface Listed {
  hash: string
  user: string | null
}

interface Page {
  changes: Listed[]
  next: string | null
}

const LIMIT = 100
/** Changes of the server's that are looked through beyond as many as are asked for: its order is not quite ours. */
const FURTHER = 200

export class Witness {
  #seen = new Map<string, string | null>()

  /** Of all changes of a document, or only of those of one position. */
  constructor(
    readonly document: string,
    readonly position: string | null,
  ) {}

  /** The users who brought in these changes, as far as the server can be asked and knows. The newest are asked for first. */
  async of(hashes: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const wanted = new Set(hashes.filter((hash) => !this.#seen.has(hash)))
    let before: string | null = null
    let looked = 0
    while (wanted.size > 0 && looked < hashes.length + FURTHER) {
      const page: Page | null = await this.#page(before)
      if (!page) break
      for (const { hash, user } of page.changes) {
        this.#seen.set(hash, user)
        wanted.delete(hash)
      }
      looked += page.changes.length
      before = page.next
      if (before === null) break
    }
    return new Map(
      hashes.flatMap((hash): [string, string][] => {
        const user = this.#seen.get(hash)
        return user ? [[hash, user]] : []
      }),
    )
  }

  async #page(before: string | null): Promise<Page | null> {
    const query = new URLSearchParams({ limit: String(LIMIT) })
    if (this.position !== null) query.set("position", this.position)
    if (before !== null) query.set("before", before)
    try {
      const response = await fetch(`/api/documents/${this.document}/history?${query}`, { signal: AbortSignal.timeout(10_000) })
      return response.ok ? ((await response.json()) as Page) : null
    } catch {
      return null
    }
  }
}
