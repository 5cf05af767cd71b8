/** Starts the page: the WebAssembly, who we are, the local copies, and then the plan. */
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
    root.render(
      <MessagePage title="No connection yet">
        This page has to meet its server once. After that it opens without a network. Try again when you are connected.
      </MessagePage>,
    )
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
    <MessagePage title="The page could not start">
      {error instanceof Error ? error.message : String(error)} — reload the page; if that does not help, this browser may be too old, or may
      not allow this page to store anything.
    </MessagePage>,
  )
})

if (import.meta.env.PROD && "serviceWorker" in navigator) {
  window.addEventListener("load", () => {
    // Without it the page works, but does not open without a network.
    const hadWorker = navigator.serviceWorker.controller !== null
    navigator.serviceWorker.register("sw.js").catch(() => undefined)
    // A newer page is there: it is for the reader to say when.
    navigator.serviceWorker.addEventListener("controllerchange", () => {
      if (hadWorker) notifyPageUpdate()
    })
  })
}
