/** Opens one plan at a time. The URL fragment contains its id and the view of its list, so that links can be shared. */
import type { DocHandle } from "@automerge/automerge-repo/slim"
import { type ReactNode, useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState, useSyncExternalStore } from "react"
import { flushSync } from "react-dom"
import type { PlanDoc, Settings } from "../plan/schema"
import { hasContent, onceItHasContent } from "../sync/content"
import { scheduleLocalDataRemoval } from "../sync/logout-cleanup"
import { openDocument } from "../sync/open-document"
import { PlanStore } from "../sync/plan-store"
import {
  cachedPlans,
  createCopy,
  createPlan,
  deletePlan,
  forgetPlan,
  isListed,
  listPlans,
  markArchived,
  type PlanInfo,
} from "../sync/plans"
import type { LocalRepo } from "../sync/repo"
import { logout, ownerOf, readDisplayName, readSession, type Session, saveDisplayName } from "../sync/session"
import { formatAddress, readAddress } from "./address"
import { MessagePage } from "./MessagePage"
import { PlanDialog } from "./PlanDialog"
import { PlanView } from "./PlanView"
import { useScenarioPlace } from "./scenarios/use-scenario-place"

interface Props {
  /** What is shown until the first plan is open; `null` for a message. */
  placeholder: ReactNode
  local: LocalRepo
  session: Session
  /** The session comes from the server, not from the cache. */
  isFresh: boolean
}

const planInUrl = (): string | null => readAddress().plan

/** The plan to open when the URL names none. An archived plan is opened only if there is no other one. */
function firstPlan(plans: readonly PlanInfo[]): string | null {
  const current = plans.filter((plan) => !plan.isArchived)
  return (current.find((plan) => plan.isDefault) ?? current[0] ?? plans[0])?.id ?? null
}

/** Interval for refreshing the list of plans; and the time for which a new plan may be unlisted or a change pending. */
const REFRESH_MS = 60_000
const GRACE_MS = 5_000

const NEW_PLAN: Settings = { name: "", currency: "INR", unit: 100_000, totalBudget: null, yearStart: null }

export function App({ local, session: first, isFresh, placeholder }: Props) {
  const { repo, connection, outbox } = local
  const owner = ownerOf(first)
  const [session, setSession] = useState(first)
  const [plans, setPlans] = useState(() => cachedPlans(owner))
  const [id, setId] = useState<string | null>(() => planInUrl() ?? firstPlan(cachedPlans(owner)))
  const [store, setStore] = useState<PlanStore | null>(null)
  const [isUnavailable, setUnavailable] = useState(false)
  const [problem, setProblem] = useState<string | null>(null)
  const [isCreating, setCreating] = useState(false)
  const [name, setName] = useState(() => session.user?.name ?? readDisplayName())
  const [isRemoved, setRemoved] = useState(false)
  /** The server has answered with its list of plans. */
  const [hasList, setHasList] = useState(false)
  /** A message for the plan that opens next. */
  const [notice, setNotice] = useState<{ plan: string; message: string } | null>(null)
  const pending = useSyncExternalStore(outbox.subscribe, outbox.pendingChanges)
  const isLoadingLarge = useSyncExternalStore(local.background.subscribe, () => local.background.isLoadingLarge)
  const latestName = useRef(name)
  latestName.current = name
  /** The open plan, and the time it was opened. */
  /** The plan that `placeholder` shows, and whether a plan has taken its place. */
  const firstPlanId = useRef(id)
  const hasOpened = useRef(false)
  const openedPlan = useRef<{ id: string; at: number } | null>(null)

  const refresh = useCallback(async () => {
    const before = openedPlan.current
    try {
      const { session: now, isFresh: isNew } = await readSession()
      // Another user logged in from another tab: reload to open their database.
      if (isNew && now?.user && ownerOf(now) !== owner) return location.reload()
      // After a logout elsewhere the connection shows the reason; the page stays usable.
      if (isNew && now?.user) setSession(now)
      const requestedAt = performance.now()
      const listed = await listPlans(owner)
      setPlans(listed)
      setHasList(true)
      // Users see the plans they have access to: an open plan that is not listed was deleted or is no longer shared.
      setRemoved(before !== null && requestedAt - before.at > GRACE_MS && !isListed(listed, before.id))
      setProblem(null)
      setId((before) => before ?? firstPlan(listed))
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error))
    }
  }, [owner])

  useEffect(() => {
    void refresh()
    const refreshIfVisible = () => {
      if (!document.hidden) void refresh()
    }
    const timer = window.setInterval(refreshIfVisible, REFRESH_MS)
    document.addEventListener("visibilitychange", refreshIfVisible)
    const onHash = () => {
      // Commit the cell being edited before switching plans.
      if (document.activeElement instanceof HTMLElement) document.activeElement.blur()
      setId((before) => planInUrl() ?? firstPlan(cachedPlans(owner)) ?? before)
    }
    window.addEventListener("hashchange", onHash)
    return () => {
      window.clearInterval(timer)
      document.removeEventListener("visibilitychange", refreshIfVisible)
      window.removeEventListener("hashchange", onHash)
    }
  }, [refresh, owner])

  // The URL always names the open plan, so that Back returns to it.
  useEffect(() => {
    if (id !== null && planInUrl() === null) history.replaceState(null, "", formatAddress({ plan: id, view: "" }))
  }, [id])

  // Refresh the list and the session after a reconnect or a denied access.
  useEffect(() => {
    let wasOpen = connection.isOpen
    let hadAccessError = connection.accessError
    return connection.subscribe(() => {
      const { isOpen, accessError } = connection
      if ((isOpen && !wasOpen) || (accessError && !hadAccessError)) void refresh()
      wasOpen = isOpen
      hadAccessError = accessError
    })
  }, [connection, refresh])

  // Pending changes on an open connection may mean that the user has lost write access.
  useEffect(() => {
    if (pending.size === 0) return
    const timer = window.setTimeout(() => {
      if (connection.isOpen) void refresh()
    }, GRACE_MS)
    return () => window.clearTimeout(timer)
  }, [pending, connection, refresh])

  // A local plan has synced: the server lists it now.
  // biome-ignore lint/correctness/useExhaustiveDependencies: runs when pending changes were sent, not when the list changes
  useEffect(() => {
    if (plans.some((plan) => plan.isLocal && !pending.has(plan.id))) void refresh()
  }, [pending, refresh])

  // A plan of a link may be new to the list.
  useEffect(() => {
    if (hasList && id !== null && !isListed(cachedPlans(owner), id)) void refresh()
  }, [id, hasList, owner, refresh])

  useEffect(() => {
    if (id === null) return
    let isCurrent = true
    let shown: PlanStore | null = null
    const show = (handle: DocHandle<PlanDoc>) => {
      if (!isCurrent || shown) return
      setUnavailable(false)
      shown = new PlanStore(handle, outbox.statusOf(handle), latestName.current || "Somebody")
      openedPlan.current = { id, at: performance.now() }
      setStore(shown)
    }
    setStore(null)
    setUnavailable(false)
    setRemoved(false)
    let stopWaiting = () => {}
    repo.find<PlanDoc>(id as never, { allowableStates: ["ready", "unavailable"] }).then(
      (handle) => {
        if (!isCurrent) return
        if (!hasContent(handle)) setUnavailable(true)
        // The plan appears when another client syncs it, or after a reconnect.
        stopWaiting = onceItHasContent(handle, () => show(handle))
      },
      () => isCurrent && setUnavailable(true),
    )
    return () => {
      isCurrent = false
      stopWaiting()
      openedPlan.current = null
      shown?.close()
    }
  }, [id, repo, outbox])

  // Another document starts at its top.
  useLayoutEffect(() => {
    if (store) window.scrollTo({ top: 0 })
  }, [store])

  const open = useCallback((next: string) => {
    // The open plan keeps its view.
    if (planInUrl() !== next) history.pushState(null, "", formatAddress({ plan: next, view: "" }))
    setId(next)
  }, [])

  const create = (settings: Settings) => {
    const handle = createPlan(repo, owner, settings)
    setPlans(cachedPlans(owner))
    setCreating(false)
    open(handle.documentId)
  }
  const duplicate = async (source: PlanStore, copy: string) => {
    const handle = await createCopy(repo, owner, source.handle.doc(), copy, latestName.current || "Somebody")
    setPlans(cachedPlans(owner))
    open(handle.documentId)
  }
  /** Removes the open document from this device, with others that were deleted with it, and opens another one. */
  const forget = (removed: string, others: readonly string[], next: string | null) => {
    // The view must be closed before its document is removed.
    flushSync(() => {
      setStore(null)
      setId(next)
    })
    history.replaceState(null, "", next === null ? "./" : `#${next}`)
    for (const document of [...others, removed]) {
      outbox.remove(document)
      setPlans(forgetPlan(owner, document))
    }
    void refresh()
  }
  const remove = async (plan: PlanInfo) => {
    await deletePlan(plan)
    // The server deletes the scenarios with their plan.
    const scenarios = (plan.scenarios ?? []).map((scenario) => scenario.id)
    forget(plan.id, scenarios, firstPlan(cachedPlans(owner).filter((other) => other.id !== plan.id)))
  }
  const leaveScenario = (plan: string, message: string) => {
    setNotice({ plan, message })
    open(plan)
    void refresh()
  }
  const dropScenario = (scenario: string, plan: string, message: string) => {
    setNotice({ plan, message })
    forget(scenario, [], plan)
  }
  const openOther = useCallback((other: string) => openDocument(local, other), [local])
  const onArchived = useCallback(
    (plan: string, isArchived: boolean) => setPlans((before) => markArchived(owner, plan, isArchived) ?? before),
    [owner],
  )
  const logOut = async () => {
    const changes = [...pending.values()].reduce((sum, count) => sum + count, 0)
    const where = pending.size > 1 ? ` in ${pending.size} plans` : ""
    const question = `${changes} unsynced ${changes === 1 ? "change" : "changes"}${where} will be lost. Log out anyway?`
    if (changes > 0 && !window.confirm(question)) return
    try {
      await logout()
    } catch (error) {
      window.alert(`Could not log out: ${error instanceof Error ? error.message : error}`)
      return
    }
    scheduleLocalDataRemoval(owner)
    history.replaceState(null, "", "./")
    location.reload()
  }

  const place = useScenarioPlace(plans, id)
  // Users have the same rights to a scenario as to its plan.
  const info = useMemo<PlanInfo | undefined>(() => place?.plan ?? plans.find((plan) => plan.id === id), [place, plans, id])
  const isViewer = info ? info.access === "read" : session.user?.role === "viewer"
  const canCreate = session.user?.role !== "viewer"
  const creating = isCreating && (
    <PlanDialog title="New plan" settings={NEW_PLAN} button="Create plan" onSave={create} onClose={() => setCreating(false)} />
  )

  if (store) {
    hasOpened.current = true
    return (
      <>
        <PlanView
          key={store.id}
          store={store}
          plans={plans}
          info={info}
          place={place}
          pending={pending}
          session={session}
          name={name}
          isViewer={isViewer}
          isRemoved={isRemoved}
          notice={notice?.plan === store.id ? notice.message : null}
          onNoticeShown={() => setNotice(null)}
          onOpen={open}
          onCreate={() => setCreating(true)}
          onDuplicate={(copy) => duplicate(store, copy)}
          onDelete={remove}
          onArchived={onArchived}
          onAccessChanged={refresh}
          openOther={openOther}
          onLeaveScenario={leaveScenario}
          onScenarioDropped={dropScenario}
          onName={(next) => {
            const typed = next.trim()
            // Without storage the name lasts as long as the page.
            saveDisplayName(typed)
            setName(typed)
            store.presence.rename(typed || "Somebody")
          }}
          onLogout={() => void logOut()}
        />
        {creating}
      </>
    )
  }
  if (isUnavailable) {
    return (
      <MessagePage title={isFresh ? "Plan not found" : "Plan not available offline"}>
        {isFresh
          ? "The plan does not exist on this server, or you do not have access. A plan created offline appears here when its creator connects."
          : "Open it once with a connection to enable offline use."}{" "}
        <a href="./">Open the first plan</a>
      </MessagePage>
    )
  }
  if (id === null && hasList) {
    return (
      <>
        <MessagePage title="No plans yet" {...(canCreate && { action: { label: "New plan", run: () => setCreating(true) } })}>
          {canCreate ? "Create a plan, or ask somebody to share one with you." : "Ask the owner of a plan to share it with you."}
        </MessagePage>
        {creating}
      </>
    )
  }
  if (id === null && problem) return <MessagePage title="Could not load the plans">{problem}</MessagePage>
  const isFirst = !hasOpened.current && (firstPlanId.current === null || firstPlanId.current === id)
  if (placeholder !== null && isFirst) return placeholder
  return (
    <main className="alone" aria-busy="true">
      <p role="status">{isLoadingLarge ? "Opening a very large plan. The page does not react for some seconds…" : "Opening plan…"}</p>
    </main>
  )
}
