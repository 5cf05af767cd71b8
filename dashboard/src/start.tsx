/** Starts the editor: loads WebAssembly, opens the local repository, renders the app. */
import { type ReactNode, StrictMode } from "react"
import type { Root } from "react-dom/client"
import { startAutomerge } from "./sync/automerge"
import { cancelLocalDataRemoval, followLogoutInOtherTab, removeScheduledLocalData } from "./sync/logout-cleanup"
import { openRepo } from "./sync/repo"
import { ownerOf, type Session } from "./sync/session"
import { App } from "./ui/App"
import { ErrorBoundary } from "./ui/ErrorBoundary"

/** `placeholder`: what the page shows until the first plan is open. */
export async function startEditor(root: Root, session: Session, isFresh: boolean, placeholder: ReactNode): Promise<void> {
  await startAutomerge()
  if (!session.required || session.user) cancelLocalDataRemoval(ownerOf(session))
  await removeScheduledLocalData()
  // The database must be closed before it can be deleted.
  followLogoutInOtherTab(() => location.reload())
  const local = openRepo(ownerOf(session))
  root.render(
    <StrictMode>
      <ErrorBoundary>
        <App local={local} session={session} isFresh={isFresh} placeholder={placeholder} />
      </ErrorBoundary>
    </StrictMode>,
  )
}
