/** Earlier states of a document by time, among the changes of its history. */

/** A change as the history has read it. Dependencies come before the changes that build on them. */
export interface PastChange {
  hash: string
  deps: readonly string[]
  /** Milliseconds since 1970 as claimed by the change; `null` if it has no time. */
  time: number | null
  author: string
}

/** Author and time of the latest change of a state. */
export interface StateAuthor {
  author: string
  time: number | null
}

export interface PastState {
  /** Hexadecimal heads; empty before the first change. */
  heads: string[]
  /** The latest change until that time; `null` if there is none. */
  last: StateAuthor | null
  /** Time of the first change of the document. */
  first: number | null
}

/**
 * The state at a time: the changes that claim to have been made until then, and all changes that they build on. A change without a time
 * belongs to it as soon as all changes that it builds on do.
 */
export function stateAtTime(changes: readonly PastChange[], time: number): PastState {
  const included = new Set<string>()
  for (const change of changes.toReversed()) {
    const isInTime = change.time !== null && change.time <= time
    if (!isInTime && !included.has(change.hash)) continue
    included.add(change.hash)
    for (const dep of change.deps) included.add(dep)
  }
  for (const { hash, deps, time: claimed } of changes)
    if (claimed === null && deps.length > 0 && deps.every((dep) => included.has(dep))) included.add(hash)
  const heads = new Set<string>()
  let last: StateAuthor | null = null
  let first: number | null = null
  for (const change of changes) {
    if (change.time !== null && (first === null || change.time < first)) first = change.time
    if (!included.has(change.hash)) continue
    for (const dep of change.deps) heads.delete(dep)
    heads.add(change.hash)
    // A change that the state contains only because others build on it may claim to be later.
    if (change.time !== null && change.time <= time) last = laterOf(last, change)
  }
  return { heads: [...heads], last, first }
}

/** The latest change among some heads; `null` if one of them is unknown. `find`: the change with a hash. */
export function authorOfState(find: (hash: string) => PastChange | undefined, heads: readonly string[]): StateAuthor | null {
  let last: StateAuthor | null = null
  for (const head of heads) {
    const change = find(head)
    if (!change) return null
    last = laterOf(last, change)
  }
  return last
}

const laterOf = (one: StateAuthor | null, { author, time }: PastChange): StateAuthor =>
  one !== null && (one.time ?? Number.NEGATIVE_INFINITY) > (time ?? Number.NEGATIVE_INFINITY) ? one : { author, time }
