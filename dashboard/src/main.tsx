/**
 * Starts the page. What is imported here is small: the editor with Automerge follows in a file of its own, and until it is there, a new visitor
 * sees the plan as the server shows it.
 */

import wasm from "@automerge/automerge/automerge.wasm?url"
import { StrictMode } from "react"
import { createRoot } from "react-dom/client"
import { hasLocalPlans, loadPreview, previewAddress } from "./sync/preview"
import { ownerOf, readSession, type Session, setupCode, takeAddress } from "./sync/session"
import { Login } from "./ui/Login"
import { MessagePage } from "./ui/MessagePage"
import { PreviewView } from "./ui/PreviewView"
import { notifyPageUpdate } from "./ui/page-update"
import { Setup } from "./ui/Setup"
import { applyTheme } from "./ui/theme"
import "./ui/styles/index.css"

applyTheme()
const root = createRoot(document.getElementById("root") as HTMLElement)

/** Loads the editor, and WebAssembly at the same time. */
function loadEditor(): Promise<typeof import("./start")> {
  const link = Object.assign(document.createElement("link"), { rel: "preload", href: wasm, as: "fetch", type: "application/wasm" })
  link.crossOrigin = "anonymous"
  document.head.append(link)
  return import("./start")
}

async function start(): Promise<void> {
  const { session, isFresh } = await readSession()
  if (!session) {
    root.render(<MessagePage title="Cannot reach the server">Connect once to enable offline use.</MessagePage>)
    window.addEventListener("online", () => location.reload(), { once: true })
    return removeLocalData()
  }
  if (session.required && !session.user) {
    const code = setupCode(location.hash)
    const login = <Login hasAccounts={session.accounts} provider={session.provider?.name ?? null} />
    root.render(<StrictMode>{code !== null && !session.accounts ? <Setup code={code} /> : login}</StrictMode>)
    return removeLocalData()
  }
  const address = takeAddress()
  if (location.hash === "" && address !== "") history.replaceState(null, "", address)
  const placeholder = await showPreview(session)
  const { startEditor } = await loadEditor()
  await startEditor(root, session, isFresh, placeholder)
}

/** Removes the data of users who have logged out. What was typed into forms stays if only the session has ended. */
async function removeLocalData(): Promise<void> {
  const { followLogoutInOtherTab, removeScheduledLocalData } = await import("./sync/logout-cleanup")
  followLogoutInOtherTab()
  await removeScheduledLocalData()
}

/** Shows the plan if this browser has no copy of it, which may be newer. Returns what is shown. */
async function showPreview(session: Session) {
  const address = previewAddress(location.hash)
  if (address === null || hasLocalPlans(ownerOf(session))) return null
  const preview = await loadPreview(address.plan)
  if (preview === null) return null
  const shown = <PreviewView preview={preview} />
  root.render(<StrictMode>{shown}</StrictMode>)
  return shown
}

/** Registers the service worker once the page has what it needs: it downloads all files of the page. */
function registerServiceWorker(): void {
  if (!import.meta.env.PROD || !("serviceWorker" in navigator)) return
  // Without a service worker the page works, but cannot open offline.
  const hadWorker = navigator.serviceWorker.controller !== null
  navigator.serviceWorker.register("sw.js").catch(() => undefined)
  // The user decides when to load the new version.
  navigator.serviceWorker.addEventListener("controllerchange", () => {
    if (hadWorker) notifyPageUpdate()
  })
}

start()
  .catch((error: unknown) => {
    root.render(
      <MessagePage title="Could not start">
        {error instanceof Error ? error.message : String(error)} Reload the page. If the problem persists, the browser may be outdated or
        may block storage.
      </MessagePage>,
    )
  })
  .finally(registerServiceWorker)
