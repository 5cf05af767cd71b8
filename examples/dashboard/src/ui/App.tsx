/** Opens plans, one at a time; which one is in the address, so a link shares it. */
import type { DocHandle } from "@automerge/automerge-repo/slim"
import { isValidDocumentId } from "@automerge/automerge-repo/slim"
import { useCallback, useEffect, useMemo, useRef, useState } from "react"
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

/** How often the list of plans is asked for, and how long a plan may have been open without being listed. */
const REFRESH = 60_000
const SETTLED = 5_000

const NEW: Settings = { name: "", currency: "INR", unit: 100_000, totalBudget: null }

export function App({ local, session, isFresh }: Props) {
  const { repo, connection } = local
  const whose = owner(session)
  const [plans, setPlans] = useState(() => rememberedPlans(whose))
  const [id, setId] = useState<string | null>(() => inAddress() ?? rememberedPlans(whose).find((plan) => plan.isDefault)?.id ?? null)
  const [store, setStore] = useState<PlanStore | null>(null)
  const [isMissing, setMissing] = useState(false)
  const [problem, setProblem] = useState<string | null>(null)
  const [isCreating, setCreating] = useState(false)
  const [name, setName] = useState(() => session.user?.name ?? readName())
  const [isGone, setGone] = useState(false)
  const nameNow = useRef(name)
  nameNow.current = name
  /** Which plan is open, and since when. */
  const opened = useRef<{ id: string; at: number } | null>(null)

  const refresh = useCallback(async () => {
    const before = opened.current
    try {
      const asked = performance.now()
      const listed = await listPlans(whose)
      setPlans(listed)
      // The list is asked for by those who may see it: what has been open for a while and is not listed has been taken away.
      setGone(before !== null && asked - before.at > SETTLED && !listed.some((plan) => plan.id === before.id))
      setProblem(null)
      setId((before) => before ?? listed.find((plan) => plan.isDefault)?.id ?? listed[0]?.id ?? null)
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error))
    }
  }, [whose])

  useEffect(() => {
    void refresh()
    const timer = window.setInterval(() => {
      if (!document.hidden) void refresh()
    }, REFRESH)
    const onHash = () => setId((before) => inAddress() ?? before)
    window.addEventListener("hashchange", onHash)
    return () => {
      window.clearInterval(timer)
      window.removeEventListener("hashchange", onHash)
    }
  }, [refresh])

  // The list, and who we are, are asked for again when the server comes back or has sent us away.
  useEffect(() => {
    let wasOpen = connection.isOpen
    let wasRefused = connection.refused
    return connection.subscribe(() => {
      const { isOpen, refused } = connection
      if (isOpen && !wasOpen) void refresh()
      if ((isOpen && !wasOpen) || (refused && !wasRefused)) {
        void readSession().then(({ session: now, isFresh: isNew }) => {
          const isOther =
            now && (now.required !== session.required || now.user?.name !== session.user?.name || now.user?.role !== session.user?.role)
          // Somebody else has logged in, in another tab; or the role is another one: a new page begins with the right copies.
          if (isNew && isOther && now.user) location.reload()
        })
      }
      wasOpen = isOpen
      wasRefused = refused
    })
  }, [connection, refresh, session])

  useEffect(() => {
    if (id === null) return
    let isCurrent = true
    let shown: PlanStore | null = null
    const show = (handle: DocHandle<PlanDoc>) => {
      if (!isCurrent || shown) return
      setMissing(false)
      shown = new PlanStore(handle, connection, whose, nameNow.current || "Somebody")
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
  }, [id, repo, connection, whose])

  const open = useCallback((next: string) => {
    history.pushState(null, "", `#${next}`)
    setId(next)
  }, [])

  const create = (settings: Settings) => {
    const handle = createPlan(repo, whose, settings.name, settings.currency, settings.unit, settings.totalBudget)
    setPlans(rememberedPlans(whose))
    setCreating(false)
    open(handle.documentId)
    window.setTimeout(() => void refresh(), 2_000)
  }
  const leave = async () => {
    const waiting = store?.getSnapshot().sync.waiting ?? 0
    if (waiting > 0 && !window.confirm(`${waiting} of your changes are only on this device and will be lost. Log out all the same?`)) return
    try {
      await logout()
    } catch (error) {
      window.alert(`You could not be logged out: ${error instanceof Error ? error.message : error}`)
      return
    }
    forget(whose)
    location.hash = ""
    location.reload()
  }

  const info = useMemo<PlanInfo | undefined>(() => plans.find((plan) => plan.id === id), [plans, id])
  const isViewer = session.user?.role === "viewer" || info?.access === "read"
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
        <a href="/">Go to the first plan</a>
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
