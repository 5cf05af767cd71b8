import { Check, CloudOff, Lock, RefreshCw, TriangleAlert } from "lucide-react"
import type { SyncState } from "../sync/sync-status"

export const countChanges = (count: number) => `${count} ${count === 1 ? "change" : "changes"}`

/** Text of the badge, and the explanation in its tooltip. */
interface SyncText {
  short: string
  long: string
}

function describeState({ kind, pending, accessError, rejection }: SyncState): SyncText {
  switch (kind) {
    case "live":
      return { short: "Live", long: "All changes are saved on the server." }
    case "syncing":
      return { short: pending > 0 ? `Syncing ${countChanges(pending)}` : "Syncing", long: "Changes are being synced with the server." }
    case "offline":
      return pending > 0
        ? {
            short: `Offline, ${countChanges(pending)} waiting`,
            long: "Your changes are saved on this device and sync when the server can be reached.",
          }
        : { short: "Offline", long: "The server cannot be reached. You can keep working; changes are saved on this device." }
    case "rejected":
      return {
        short: `Not saved on the server, ${countChanges(pending)} kept here`,
        long: `The server rejected your changes to this plan: ${rejection}. They are kept on this device.`,
      }
    case "not-allowed":
      return accessError === "not-logged-in"
        ? {
            short: pending > 0 ? `Not logged in, ${countChanges(pending)} waiting` : "Not logged in",
            long: "Your session has ended. Log in again; your changes are kept on this device.",
          }
        : {
            short: pending > 0 ? `Not allowed, ${countChanges(pending)} kept here` : "Not allowed",
            long: "You do not have access to this plan. Your changes are kept on this device only.",
          }
  }
}

/** A failed local save goes first: closing the page would lose those changes. */
function describeSync(sync: SyncState): SyncText {
  const { short, long } = describeState(sync)
  if (sync.storageError === null) return { short, long }
  if (sync.kind === "live")
    return { short: `${short}, not on this device`, long: `${long} This browser could not save them: ${sync.storageError}` }
  return {
    short: `Not saved on this device. ${short}`,
    long: `This browser could not save your last changes: ${sync.storageError} Keep this page open until they are synced.`,
  }
}

const ICONS = { live: Check, syncing: RefreshCw, offline: CloudOff, "not-allowed": Lock, rejected: TriangleAlert }

interface Props {
  sync: SyncState
  /** Number of other plans with unsynced changes. */
  otherPlans: number
}

/** Sync state of the open plan, and whether other plans have unsynced changes. */
export function SyncBadge({ sync, otherPlans }: Props) {
  const own = describeSync(sync)
  const plans = otherPlans === 1 ? "another plan" : `${otherPlans} other plans`
  const short = otherPlans > 0 ? `${own.short}, ${plans} waiting` : own.short
  const long = otherPlans > 0 ? `${own.long} Changes to ${plans} are not synced yet.` : own.long
  const Icon = sync.storageError === null ? ICONS[sync.kind] : TriangleAlert
  return (
    <div
      className={`sync ${sync.storageError === null ? sync.kind : "unsaved"}`}
      title={long}
      data-kind={sync.kind}
      data-pending={sync.pending}
    >
      <Icon aria-hidden />
      <span className="sync-text">{short}</span>
      {/* Announced when syncing starts and ends, not for each change. */}
      <span className="hidden" role="status">
        {sync.kind === "syncing" && sync.storageError === null ? "" : long}
      </span>
    </div>
  )
}
