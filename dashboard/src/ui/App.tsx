/** Opens plans, one at a time; which one is in the address, so a link shares it. */
import type { DocHandle } from "@automerge/automerge-repo/slim"
import { isValidDocumentId } from "@automerge/automerge-repo/slim"
import { useCallback, useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react"
import type { PlanDoc, Settings } from "../plan/schema"
import { scheduleLocalDataRemoval } from "../sync/logout-cleanup"
import { PlanStore } from "../sync/plan-store"
import { cachedPlans, createPlan, listPlans, type PlanInfo } from "../sync/plans"
import type { LocalRepo } from "../sync/repo"
import { logout, ownerOf, readDisplayName, readSession, type Session, saveDisplayName } from "../sync/session"
import { MessagePage } from "./MessagePage"
import { PlanDialog } from "./PlanDialog"
import { PlanView } from "./PlanView"

interface Props {
  local: LocalRepo
  session: Session
  /** The server has just said who we are. */
  isFresh: boolean
}

const planInAddress = (): string | null => {
  const id = location.hash.slice(1).replace(/^automerge(:|%3A)/i, "")
  return isValidDocumentId(id) ? id : null
}

/** The plan that is opened when the address names none. */
const firstPlan = (plans: readonly PlanInfo[]): string | null => (plans.find((plan) => plan.isDefault) ?? plans[0])?.id ?? null

/** How often the list of plans is asked for, and how long a plan may be open without being listed, or a change be on its way. */
const REFRESH = 60_000
const SETTLED = 5_000

const NEW: Settings = { name: "", currency: "INR", unit: 100_000, totalBudget: null }

export function App({ local, session: first, isFresh }: Props) {
  const { repo, connection, outbox } = local
  const owner = ownerOf(first)
  const [session, setSession] = useState(first)
  const [plans, setPlans] = useState(() => cachedPlans(owner))
  const [id, setId] = useState<string | null>(() => planInAddress() ?? firstPlan(cachedPlans(owner)))
  const [store, setStore] = useState<PlanStore | null>(null)
  const [isUnavailable, setMissing] = useState(false)
  const [problem, setProblem] = useState<string | null>(null)
  const [isCreating, setCreating] = useState(false)
  const [name, setName] = useState(() => session.user?.name ?? readDisplayName())
  const [isRemoved, setGone] = useState(false)
  const pending = useSyncExternalStore(outbox.subscribe, outbox.pendingChanges)
  const latestName = useRef(name)
  latestName.current = name
  /** Which plan is open, and since when. */
  const openedPlan = useRef<{ id: string; at: number } | null>(null)

  const refresh = useCallback(async () => {
    const before = openedPlan.current
    try {
      const { session: now, isFresh: isNew } = await readSession()
      // Somebody else has logged in, in another tab: a new page begins with the right copies.
      if (isNew && now?.user && ownerOf(now) !== owner) return location.reload()
      // Who is not logged in any more is told by the connection, and goes on here.
      if (isNew && now?.user) setSession(now)
      const asked = performance.now()
      const listed = await listPlans(owner)
      setPlans(listed)
      // The list is asked for by those who may see it: what has been open for a while and is not listed has been taken away.
      setGone(before !== null && asked - before.at > SETTLED && !listed.some((plan) => plan.id === before.id))
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
    const timer = window.setInterval(refreshIfVisible, REFRESH)
    document.addEventListener("visibilitychange", refreshIfVisible)
    const onHash = () => {
      // A value that is being typed is taken before its plan goes.
      if (document.activeElement instanceof HTMLElement) document.activeElement.blur()
      setId((before) => planInAddress() ?? firstPlan(cachedPlans(owner)) ?? before)
    }
    window.addEventListener("hashchange", onHash)
    return () => {
      window.clearInterval(timer)
      document.removeEventListener("visibilitychange", refreshIfVisible)
      window.removeEventListener("hashchange", onHash)
    }
  }, [refresh, owner])

  // The address names the plan, also the first: so one finds back to it.
  useEffect(() => {
    if (id !== null && planInAddress() === null) history.replaceState(null, "", `#${id}`)
  }, [id])

  // The list, and who we are, are asked for again when the server comes back or has sent us away.
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

  // Where the server does not take what it could have, we may no longer be who may change it.
  useEffect(() => {
    if (pending.size === 0) return
    const timer = window.setTimeout(() => {
      if (connection.isOpen) void refresh()
    }, SETTLED)
    return () => window.clearTimeout(timer)
  }, [pending, connection, refresh])

  // What was made here has gone out: now the server lists it.
  // biome-ignore lint/correctness/useExhaustiveDependencies: asked when something has gone out, not when it has been listed
  useEffect(() => {
    if (plans.some((plan) => plan.isLocal && !pending.has(plan.id))) void refresh()
  }, [pending, refresh])

  useEffect(() => {
    if (id === null) return
    let isCurrent = true
    let shown: PlanStore | null = null
    const show = (handle: DocHandle<PlanDoc>) => {
      if (!isCurrent || shown) return
      setMissing(false)
      shown = new PlanStore(handle, outbox.statusOf(handle), latestName.current || "Somebody")
      openedPlan.current = { id, at: performance.now() }
      setStore(shown)
    }
    setStore(null)
    setMissing(false)
    setGone(false)
    repo.find<PlanDoc>(id as never, { allowableStates: ["ready", "unavailable"] }).then(
      (handle) => {
        if (!isCurrent) return
        if (handle.isReady()) return show(handle)
        setMissing(true)
        // It appears when somebody brings it, or when there is a network again.
        const wait = (): void => {
          handle.whenReady(["ready"]).then(
            () => show(handle),
            // It waits for a minute only.
            () => isCurrent && wait(),
          )
        }
        wait()
      },
      () => isCurrent && setMissing(true),
    )
    return () => {
      isCurrent = false
      openedPlan.current = null
      shown?.close()
    }
  }, [id, repo, outbox])

  const open = useCallback((next: string) => {
    history.pushState(null, "", `#${next}`)
    setId(next)
  }, [])

  const create = (settings: Settings) => {
    const handle = createPlan(repo, owner, settings.name, settings.currency, settings.unit, settings.totalBudget)
    setPlans(cachedPlans(owner))
    setCreating(false)
    open(handle.documentId)
  }
  const logOut = async () => {
    const changes = [...pending.values()].reduce((sum, count) => sum + count, 0)
    const where = pending.size > 1 ? `, in ${pending.size} plans,` : ""
    const question = `${changes} of your changes${where} are only on this device and will be lost. Log out all the same?`
    if (changes > 0 && !window.confirm(question)) return
    try {
      await logout()
    } catch (error) {
      window.alert(`You could not be logged out: ${error instanceof Error ? error.message : error}`)
      return
    }
    scheduleLocalDataRemoval(owner)
    history.replaceState(null, "", "./")
    location.reload()
  }

  const info = useMemo<PlanInfo | undefined>(() => plans.find((plan) => plan.id === id), [plans, id])
  const isViewer = info ? info.access === "read" : session.user?.role === "viewer"
  const creating = isCreating && (
    <PlanDialog title="New plan" settings={NEW} button="Make the plan" onSave={create} onClose={() => setCreating(false)} />
  )

  if (store) {
    return (
      <>
        <PlanView
          key={store.id}
          store={store}
          plans={plans}
          pending={pending}
          session={session}
          name={name}
          isViewer={isViewer}
          isRemoved={isRemoved}
          onOpen={open}
          onCreate={() => setCreating(true)}
          onName={(next) => {
            saveDisplayName(next)
            setName(readDisplayName())
            store.presence.rename(readDisplayName() || "Somebody")
          }}
          onLogout={() => void logOut()}
        />
        {creating}
      </>
    )
  }
  if (isUnavailable) {
    return (
      <MessagePage title={isFresh ? "This plan is not here" : "This plan is not on this device yet"}>
        {isFresh
          ? "There is no such plan on this server, or you may not see it. If somebody has made it without a network, it appears here as soon as they are connected."
          : "It has to be opened once with a connection; after that it opens without."}{" "}
        <a href="./">Go to the first plan</a>
      </MessagePage>
    )
  }
  if (id === null && problem) return <MessagePage title="The plans could not be listed">{problem}</MessagePage>
  return (
    <main className="alone" aria-busy="true">
      <p role="status">Opening the plan…</p>
    </main>
  )
}
