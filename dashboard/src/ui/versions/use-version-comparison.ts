/** The comparison of the plan with an earlier version, computed by the history worker. */
import { useEffect, useRef, useState } from "react"
import type { StateAuthor } from "../../history/past-states"
import { formatDateTime } from "../../plan/format"
import type { VersionComparison } from "../../plan/version-comparison"
import type { NamedVersion } from "../../plan/versions"
import type { PlanStore } from "../../sync/plan-store"
import { type PastVersion, timeOf } from "./past-version"

/** A compared version. */
export interface ComparedVersion {
  /** Hexadecimal heads. */
  heads: readonly string[]
  /** The latest change of the version. */
  last: StateAuthor | null
  result: VersionComparison
}

export interface VersionComparisonState {
  /** `null` while it is read, or if there is a problem. */
  version: ComparedVersion | null
  /** Why there is no comparison; empty if there is one. */
  problem: string
  isReading: boolean
}

const NOT_HERE =
  "This copy of the plan does not have the changes of this version. They may have been made on a device that has not synced yet, or in another document."

/** `changes`: number of changes that the history has read; the comparison follows it. */
export function useVersionComparison(
  store: PlanStore,
  chosen: PastVersion,
  versions: readonly NamedVersion[],
  yearStart: string,
  changes: number | null,
): VersionComparisonState {
  const [state, setState] = useState<VersionComparisonState & { key: string }>({ key: "", version: null, problem: "", isReading: true })
  const latest = useRef(0)
  const named = chosen.kind === "named" ? versions.find(({ id }) => id === chosen.id) : undefined
  const heads = chosen.kind === "state" ? chosen.heads.join() : (named?.heads.join() ?? null)
  const time = chosen.kind === "date" ? timeOf(chosen) : null
  const key = `${heads ?? time}`
  const isDeleted = chosen.kind === "named" && !named
  useEffect(() => {
    latest.current += 1
    const request = latest.current
    const show = (next: Partial<VersionComparisonState>) => {
      if (latest.current === request) setState({ key, version: null, problem: "", isReading: false, ...next })
    }
    if (isDeleted) return show({ problem: "The name of this version was deleted." })
    if (heads === null && time === null) return show({ problem: "Enter a date." })
    if (time !== null && time > Date.now()) return show({ problem: "This date is in the future." })
    // The last comparison stays while it is read again, but not that of another version.
    setState((before) => ({ key, version: before.key === key ? before.version : null, problem: "", isReading: true }))
    // The history has not been read yet.
    if (changes === null) return
    read(store, heads === null ? null : heads.split(","), time ?? 0, yearStart).then(show, (error: unknown) =>
      show({ problem: `The history could not be read: ${error instanceof Error ? error.message : error}` }),
    )
    return () => {
      latest.current += 1
    }
  }, [store, heads, time, key, isDeleted, yearStart, changes])
  return state
}

/** Reads the version with these heads, or that of a time. */
async function read(
  store: PlanStore,
  given: readonly string[] | null,
  time: number,
  yearStart: string,
): Promise<Partial<VersionComparisonState>> {
  const { history } = store
  if (!history) throw new Error("it has not started")
  const past = given === null ? await history.request("stateAt", { time }) : null
  if (past?.heads.length === 0) {
    const begin = past.first === null ? "" : ` Its first change is of ${formatDateTime(past.first)}.`
    return { problem: `The plan did not exist yet.${begin}` }
  }
  const heads = given ?? past?.heads ?? []
  const result = await history.request("compare", { heads, yearStart })
  if (!result) return { problem: NOT_HERE }
  const [author] = past ? [past.last] : await history.request("authorsOfStates", { states: [heads] })
  return { version: { heads, last: author ?? null, result } }
}
