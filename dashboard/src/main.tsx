/** Starts the page: loads WebAssembly and session, opens the local repository, renders the app. */
import { StrictMode } from "react"
import { createRoot } from "react-dom/client"
import { startAutomerge } from "./sync/automerge"
import { cancelLocalDataRemoval, reloadOnLogoutInOtherTab, removeScheduledLocalData } from "./sync/logout-cleanup"
import { openRepo } from "./sync/repo"
import { ownerOf, readSession } from "./sync/session"
import { App } from "./ui/App"
import { ErrorBoundary } from "./ui/ErrorBoundary"
import { Login } from "./ui/Login"
import { MessagePage } from "./ui/MessagePage"
import { notifyPageUpdate } from "./ui/page-update"
import { applyTheme } from "./ui/theme"
import "./ui/styles/index.css"

applyTheme()
const root = createRoot(document.getElementById("root") as HTMLElement)

async function start(): Promise<void> {
  const [{ session, isFresh }] = await Promise.all([readSession(), startAutomerge()])
  if (session && (!session.required || session.user)) cancelLocalDataRemoval(ownerOf(session))
  await removeScheduledLocalData()
  reloadOnLogoutInOtherTab()
  if (!session) {
    root.render(<MessagePage title="Cannot reach the server">Connect once to enable offline use.</MessagePage>)
    window.addEventListener("online", () => location.reload(), { once: true })
    return
  }
  if (session.required && !session.user) {
    root.render(
      <StrictMode>
        <Login hasAccounts={session.accounts} />
      </StrictMode>,
    )
    return
  }
  const local = openRepo(ownerOf(session))
  root.render(
    <StrictMode>
      <ErrorBoundary>
        <App local={local} session={session} isFresh={isFresh} />
      </ErrorBoundary>
    </StrictMode>,
  )
}

start().catch((error: unknown) => {
  root.render(
    <MessagePage title="Could not start">
      {error instanceof Error ? error.message : String(error)} Reload the page. If the problem persists, the browser may be outdated or may
      block storage.
    </MessagePage>,
  )
})

if (import.meta.env.PROD && "serviceWorker" in navigator) {
  window.addEventListener("load", () => {
    // Without a service worker the page works, but cannot open offline.
    const hadWorker = navigator.serviceWorker.controller !== null
    navigator.serviceWorker.register("sw.js").catch(() => undefined)
    // The user decides when to load the new version.
    navigator.serviceWorker.addEventListener("controllerchange", () => {
      if (hadWorker) notifyPageUpdate()
    })
  })
}
