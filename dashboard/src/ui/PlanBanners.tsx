import type { Session } from "../sync/session"
import type { SyncState } from "../sync/sync-status"
import { usePageUpdate } from "./page-update"

interface Props {
  session: Session
  sync: SyncState
  isViewer: boolean
  /** The plan was deleted, or the user has lost access to it. */
  isRemoved: boolean
  isArchived: boolean
  /** Id of the document in which the plan goes on without its history. */
  successor: string | null
  /** The open document is a scenario. */
  isScenario: boolean
  /** Restores an archived plan; `null` without write access. */
  onRestore: (() => void) | null
  onOpen: (id: string) => void
}

/** Messages about access, and about new versions of the page. */
export function PlanBanners({ session, sync, isViewer, isRemoved, isArchived, successor, isScenario, onRestore, onOpen }: Props) {
  const hasUpdate = usePageUpdate()
  return (
    <>
      {isViewer && (
        <p className="banner">
          You need edit access to change this plan.
          {session.user && ` You are logged in as ${session.user.name}${session.user.role === "viewer" ? " (viewer)" : ""}.`} Ask the owner
          for access.
        </p>
      )}
      {successor !== null && (
        <p className="banner">
          This plan goes on in a new document, which has no earlier history. Changes made here are not in it.{" "}
          <button type="button" className="link" onClick={() => onOpen(successor)}>
            Open the new document
          </button>
        </p>
      )}
      {isArchived && successor === null && (
        <p className="banner">
          This plan is archived and cannot be edited.{" "}
          {onRestore && (
            <button type="button" className="link" onClick={onRestore}>
              Restore from archive
            </button>
          )}
        </p>
      )}
      {hasUpdate && (
        <p className="banner">
          A new version is available.{" "}
          <button type="button" className="link" onClick={() => location.reload()}>
            Reload
          </button>
        </p>
      )}
      {isRemoved && (
        <p className="banner problem" role="alert">
          {isScenario
            ? "This scenario was dropped, or you no longer have access to its plan. You see the copy on this device."
            : "This plan was deleted, or you no longer have access. You see the copy on this device."}
        </p>
      )}
      {sync.kind === "not-allowed" && (
        <p className="banner problem" role="alert">
          {sync.accessError === "not-logged-in" ? (
            <>
              You have been logged out. Your changes are kept on this device.{" "}
              <button type="button" className="link" onClick={() => location.reload()}>
                Log in again
              </button>
            </>
          ) : (
            "You no longer have access to this plan. You see the copy on this device."
          )}
        </p>
      )}
    </>
  )
}
