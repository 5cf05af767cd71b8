import { Link } from "lucide-react"
import { useEffect, useId, useRef, useState } from "react"
import type { PlanAccess } from "../sync/plans"
import type { Session } from "../sync/session"
import { Dialog } from "./Dialog"
import { Members } from "./Members"

interface Props {
  /** Id of the plan. */
  id: string
  name: string
  session: Session
  isOnline: boolean
  /** The right of the user; `undefined` while the server has not listed the plan. */
  access: PlanAccess | undefined
  /** Reads the plans and rights again. */
  onChanged: () => void
  onClose: () => void
}

/** Who may see and edit a plan, and the link to it. */
export function ShareDialog({ id, name, session, isOnline, access, onChanged, onClose }: Props) {
  return (
    <Dialog title={`Share “${name || "Untitled plan"}”`} onClose={onClose}>
      {!session.required ? (
        <p>Everybody who can reach this server can see, edit and delete this plan. The server has no accounts.</p>
      ) : !isOnline ? (
        <p>You are offline. Connect to the server to see and change who has access.</p>
      ) : access === "read" || access === "write" ? (
        <p>
          {access === "write" ? "You can edit this plan." : "You can view this plan."} Only its owners can see and change who has access.
        </p>
      ) : (
        <Members plan={id} session={session} onChanged={onChanged} />
      )}
      <PlanLink id={id} needsAccess={session.required} />
    </Dialog>
  )
}

function PlanLink({ id, needsAccess }: { id: string; needsAccess: boolean }) {
  const [status, setStatus] = useState("")
  const input = useRef<HTMLInputElement>(null)
  const label = useId()
  const link = new URL(`#${id}`, location.href).href
  useEffect(() => {
    if (status === "") return
    const timer = window.setTimeout(() => setStatus(""), 5_000)
    return () => window.clearTimeout(timer)
  }, [status])
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(link)
      setStatus("Link copied.")
    } catch {
      input.current?.select()
      setStatus("The link is selected. Copy it with Ctrl+C.")
    }
  }
  return (
    <section className="stack share-link">
      <label htmlFor={label}>Link to this plan</label>
      <div className="input-row">
        <input id={label} ref={input} readOnly value={link} onFocus={(event) => event.target.select()} />
        <button type="button" onClick={() => void copy()}>
          <Link aria-hidden /> Copy link
        </button>
      </div>
      <p className="fine" role="status">
        {status || (needsAccess ? "The link opens the plan only for people with access." : "")}
      </p>
    </section>
  )
}
