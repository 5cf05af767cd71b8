/** The newer changes of a plan that a scenario does not have, and what merging them changes. */
import type { next as A } from "@automerge/automerge/slim"
import { useEffect, useState, useSyncExternalStore } from "react"
import { changesAdded, commonHeads } from "../../plan/relatives"
import type { UpdatePreview } from "../../plan/update-preview"
import type { OtherDocument } from "../../sync/open-document"
import type { PlanStore } from "../../sync/plan-store"

export interface PlanUpdate {
  /** Changes of the plan that the scenario does not have. */
  changes: readonly A.Change[]
  preview: UpdatePreview
  /** The copy of the plan has everything that the server has. */
  isCurrent: boolean
}

export interface PlanUpdateState {
  /** `null` while it is read, or if there is a problem. */
  update: PlanUpdate | null
  /** Why it could not be read; empty if it could. */
  problem: string
}

const NO_COPY = "This device has no copy of the plan. Connect to the server, or open the plan once, and try again."
const NO_HISTORY = "The history of the scenario could not be read. Reload the page and try again."

/** Reads the plan once, when the history of the scenario is there. `openOther` waits for the newest changes of the server if it can be reached. */
export function usePlanUpdate(
  store: PlanStore,
  plan: string,
  yearStart: string,
  openOther: (id: string) => Promise<OtherDocument | null>,
): PlanUpdateState {
  const [state, setState] = useState<PlanUpdateState>({ update: null, problem: "" })
  const { changes, historyProblem } = useSyncExternalStore(store.subscribe, store.getSnapshot)
  const hasHistory = changes !== null || historyProblem !== null
  useEffect(() => {
    // The history of a scenario that was just opened is still being read.
    if (!hasHistory) return
    let isCurrent = true
    readUpdate(store, plan, yearStart, openOther).then(
      (update) => isCurrent && setState({ update, problem: "" }),
      (error: unknown) => isCurrent && setState({ update: null, problem: error instanceof Error ? error.message : String(error) }),
    )
    return () => {
      isCurrent = false
    }
  }, [store, plan, yearStart, openOther, hasHistory])
  return state
}

async function readUpdate(
  store: PlanStore,
  plan: string,
  yearStart: string,
  openOther: (id: string) => Promise<OtherDocument | null>,
): Promise<PlanUpdate> {
  const other = await openOther(plan)
  if (!other) throw new Error(NO_COPY)
  if (!store.history) throw new Error(NO_HISTORY)
  const [scenario, source] = [store.handle.doc(), other.handle.doc()]
  const changes = changesAdded(scenario, source)
  const params = { changes, base: commonHeads(scenario, source), yearStart }
  const preview = await store.history.request("previewUpdate", params)
  if (!preview) throw new Error(NO_HISTORY)
  return { changes, preview, isCurrent: other.isCurrent }
}
