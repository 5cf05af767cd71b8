/** The comparison of a scenario with its plan, read from the server. */
import { useCallback, useEffect, useRef, useState } from "react"
import type { Comparison } from "../../plan/comparison"
import { ApiError } from "../../sync/api"
import { compareScenario } from "../../sync/scenarios"

export interface ComparisonState {
  /** The last comparison that was read. */
  comparison: Comparison | null
  isReading: boolean
  /** Why the last reading failed; empty if it did not. */
  problem: string
  refresh: () => void
}

/** Reads the comparison now, and again when `isSynced` becomes true: then the server has the changes of this device. */
export function useComparison(plan: string, scenario: string, isSynced: boolean): ComparisonState {
  const [comparison, setComparison] = useState<Comparison | null>(null)
  const [isReading, setReading] = useState(true)
  const [problem, setProblem] = useState("")
  const latest = useRef(0)
  const refresh = useCallback(async () => {
    latest.current += 1
    const request = latest.current
    const isLatest = () => latest.current === request
    setReading(true)
    setProblem("")
    try {
      const read = await compareScenario(plan, scenario)
      if (isLatest()) setComparison(read)
    } catch (error) {
      if (isLatest()) setProblem(describeFailure(error))
    }
    if (isLatest()) setReading(false)
  }, [plan, scenario])
  // biome-ignore lint/correctness/useExhaustiveDependencies: reads again when the server has all changes
  useEffect(() => {
    void refresh()
    return () => {
      latest.current += 1
    }
  }, [refresh, isSynced])
  return { comparison, isReading, problem, refresh: () => void refresh() }
}

function describeFailure(error: unknown): string {
  if (error instanceof ApiError && error.status === 0) return "The comparison needs a connection. Check it and try again."
  if (error instanceof ApiError && error.status === 404) return "The scenario or its plan was deleted, or you no longer have access."
  return error instanceof Error ? error.message : String(error)
}
