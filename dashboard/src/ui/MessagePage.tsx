import type { ReactNode } from "react"
import { Logo } from "./Logo"

interface Props {
  title: string
  children: ReactNode
  /** Another action before that of reloading the page. */
  action?: { label: string; run: () => void }
}

/** A full-page message. */
export function MessagePage({ title, children, action }: Props) {
  return (
    <main className="alone">
      <Logo />
      <h1>{title}</h1>
      <p>{children}</p>
      {action && (
        <button type="button" className="primary" onClick={action.run}>
          {action.label}
        </button>
      )}
      <button type="button" className={action ? undefined : "primary"} onClick={() => location.reload()}>
        Try again
      </button>
    </main>
  )
}
