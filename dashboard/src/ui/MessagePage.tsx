import type { ReactNode } from "react"
import { Logo } from "./Logo"

/** A full-page message. */
export function MessagePage({ title, children }: { title: string; children: ReactNode }) {
  return (
    <main className="alone">
      <Logo />
      <h1>{title}</h1>
      <p>{children}</p>
      <button type="button" className="primary" onClick={() => location.reload()}>
        Try again
      </button>
    </main>
  )
}
