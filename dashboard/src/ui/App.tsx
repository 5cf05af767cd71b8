/** Opens plans, one at a time; which one is in the address, so a link shares it. */
import type { DocHandle } from "@automerge/automerge-repo/slim"
import { isValidDocumentId } from "@automerge/automerge-repo/slim"
import { useCallback, useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react"
import type { PlanDoc, Settings } from "../plan/schema"
import { forget } from "../sync/forget"
import { createPlan, listPlans, type PlanInfo, rememberedPlans } from "../sync/plans"
import type { Local } from "../sync/repo"
import { logout, owner, readName, readSession, type Session, saveName } from "../sync/session"
import { PlanStore } from "../sync/store"
import { Message } from "./Message"
import { PlanDialog } from "./PlanDialog"
import { PlanView } from "./PlanView"

interface Props {
  local: Local
  session: Session
  /** The server has just said who we are. */
  isFresh: boolean
}

const inAddress = (): string | null => {
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
  const whose = owner(first)
  const [session, setSession] = useState(first)
  const [plans, setPlans] = useState(() => rememberedPlans(whose))
  const [id, setId] = useState<string | null>(() => inAddress() ?? firstPlan(rememberedPlans(whose)))
  const [store, setStore] = useState<PlanStore | null>(null)
  const [isMissing, setMissing] = useState(false)
  const [problem, setProblem] = useState<string | null>(null)
  const [isCreating, setCreating] = useState(false)
  const [name, setName] = useState(() => session.user?.name ?? readName())
  const [isGone, setGone] = useState(false)
  const waiting = useSyncExternalStore(outbox.subscribe, outbox.waiting)
  const nameNow = useRef(name)
  nameNow.current = name
  /** Which plan is open, and since when. */
  const opened = useRef<{ id: string; at: number } | null>(null)

  const refresh = useCallback(async () => {
    const before = opened.current
    try {
      const { session: now, isFresh: isNew } = await readSession()
      // Somebody else has logged in, in another tab: a new page begins with the right copies.
      if (isNew && now?.user && owner(now) !== whose) return location.reload()
      // Who is not logged in any more is told by the connection, and goes on here.
      if (isNew && now?.user) setSession(now)
      const asked = performance.now()
      const listed = await listPlans(whose)
      setPlans(listed)
      // The list is asked for by those who may see it: what has been open for a while and is not listed has been taken away.
      setGone(before !== null && asked - before.at > SETTLED && !listed.some((plan) => plan.id === before.id))
      setProblem(null)
      setId((before) => before ?? firstPlan(listed))
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error))
    }
  }, [whose])

  useEffect(() => {
    void refresh()
    const look = () => {
      if (!document.hidden) void refresh()
    }
    const timer = window.setInterval(look, REFRESH)
    document.addEventListener("visibilitychange", look)
    const onHash = () => {
      // A value that is being typed is taken before its plan goes.
      if (document.activeElement instanceof HTMLElement) document.activeElement.blur()
      setId((before) => inAddress() ?? firstPlan(rememberedPlans(whose)) ?? before)
    }
    window.addEventListener("hashchange", onHash)
    return () => {
      window.clearInterval(timer)
      document.removeEventListener("visibilitychange", look)
      window.removeEventListener("hashchange", onHash)
    }
  }, [refresh, whose])

  // The address names the plan, also the first: so one finds back to it.
  useEffect(() => {
    if (id !== null && inAddress() === null) history.replaceState(null, "", `#${id}`)
  }, [id])

  // The list, and who we are, are asked for again when the server comes back or has sent us away.
  useEffect(() => {
    let wasOpen = connection.isOpen
    let wasRefused = connection.refused
    return connection.subscribe(() => {
      const { isOpen, refused } = connection
      if ((isOpen && !wasOpen) || (refused && !wasRefused)) void refresh()
      wasOpen = isOpen
      wasRefused = refused
    })
  }, [connection, refresh])

  // Where the server does not take what it could have, we may no longer be who may change it.
  useEffect(() => {
    if (waiting.size === 0) return
    const timer = window.setTimeout(() => {
      if (connection.isOpen) void refresh()
    }, SETTLED)
    return () => window.clearTimeout(timer)
  }, [waiting, connection, refresh])

  // What was made here has gone out: now the server lists it.
  // biome-ignore lint/correctness/useExhaustiveDependencies: asked when something has gone out, not when it has been listed
  useEffect(() => {
    if (plans.some((plan) => plan.isLocal && !waiting.has(plan.id))) void refresh()
  }, [waiting, refresh])

  useEffect(() => {
    if (id === null) return
    let isCurrent = true
    let shown: PlanStore | null = null
    const show = (handle: DocHandle<PlanDoc>) => {
      if (!isCurrent || shown) return
      setMissing(false)
      shown = new PlanStore(handle, outbox.of(handle), nameNow.current || "Somebody")
      opened.current = { id, at: performance.now() }
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
      opened.current = null
      shown?.close()
    }
  }, [id, repo, outbox])

  const open = useCallback((next: string) => {
    history.pushState(null, "", `#${next}`)
    setId(next)
  }, [])

  const create = (settings: Settings) => {
    const handle = createPlan(repo, whose, settings.name, settings.currency, settings.unit, settings.totalBudget)
    setPlans(rememberedPlans(whose))
    setCreating(false)
    open(handle.documentId)
  }
  const leave = async () => {
    const changes = [...waiting.values()].reduce((sum, count) => sum + count, 0)
    const where = waiting.size > 1 ? `, in ${waiting.size} plans,` : ""
    const question = `${changes} of your changes${where} are only on this device and will be lost. Log out all the same?`
    if (changes > 0 && !window.confirm(question)) return
    try {
      await logout()
    } catch (error) {
      window.alert(`You could not be logged out: ${error instanceof Error ? error.message : error}`)
      return
    }
    forget(whose)
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
          waiting={waiting}
          session={session}
          name={name}
          isViewer={isViewer}
          isGone={isGone}
          onOpen={open}
          onCreate={() => setCreating(true)}
          onName={(next) => {
            saveName(next)
            setName(readName())
            store.presence.rename(readName() || "Somebody")
          }}
          onLogout={() => void leave()}
        />
        {creating}
      </>
    )
  }
  if (isMissing) {
    return (
      <Message title={isFresh ? "This plan is not here" : "This plan is not on this device yet"}>
        {isFresh
          ? "There is no such plan on this server, or you may not see it. If somebody has made it without a network, it appears here as soon as they are connected."
          : "It has to be opened once with a connection; after that it opens without."}{" "}
        <a href="./">Go to the first plan</a>
      </Message>
    )
  }
  if (id === null && problem) return <Message title="The plans could not be listed">{problem}</Message>
  return (
    <main className="alone" aria-busy="true">
      <p role="status">Opening the plan…</p>
    </main>
  )
}
