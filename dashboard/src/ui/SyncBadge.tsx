import { Check, CloudOff, Lock, RefreshCw, TriangleAlert } from "lucide-react"
import type { SyncState } from "../sync/standing"

export const plural = (count: number) => `${count} ${count === 1 ? "change" : "changes"}`

function standing({ kind, waiting, refused, notAccepted }: SyncState): { short: string; long: string } {
  switch (kind) {
    case "live":
      return { short: "Live", long: "Everything in this plan is saved on the server, and shown to everybody." }
    case "syncing":
      return { short: waiting > 0 ? `Syncing ${plural(waiting)}` : "Syncing", long: "Changes are on their way to or from the server." }
    case "offline":
      return waiting > 0
        ? {
            short: `Offline, ${plural(waiting)} waiting`,
            long: "Your changes are saved on this device. They go to the server as soon as it can be reached.",
          }
        : { short: "Offline", long: "The server cannot be reached. You can go on working; your changes are saved on this device." }
    case "not-accepted":
      return {
        short: `Not saved on the server, ${plural(waiting)} kept here`,
        long: `The server does not accept your changes to this plan: ${notAccepted}. They are kept on this device.`,
      }
    case "not-allowed":
      return refused === "not-logged-in"
        ? {
            short: waiting > 0 ? `Not logged in, ${plural(waiting)} waiting` : "Not logged in",
            long: "The server does not know you any more. Log in again; your changes are kept on this device.",
          }
        : {
            short: waiting > 0 ? `Not allowed, ${plural(waiting)} kept here` : "Not allowed",
            long: "The server does not let you into this plan. What you changed is only on this device.",
          }
  }
}

/** Whoever believes their changes on this device closes the page: where that is not so, it is said first. */
function words(sync: SyncState): { short: string; long: string } {
  const { short, long } = standing(sync)
  if (sync.unsaved === null) return { short, long }
  if (sync.kind === "live")
    return { short: `${short}, not on this device`, long: `${long} This browser could not keep it: ${sync.unsaved}` }
  return {
    short: `Not saved on this device. ${short}`,
    long: `This browser could not keep your last changes: ${sync.unsaved} Leave this page open until the server has them.`,
  }
}

const ICONS = { live: Check, syncing: RefreshCw, offline: CloudOff, "not-allowed": Lock, "not-accepted": TriangleAlert }

interface Props {
  sync: SyncState
  /** Other plans that have changes which the server has not got. */
  others: number
}

/** How the plan stands to the server, and whether others wait: quiet, and exact. */
export function SyncBadge({ sync, others }: Props) {
  const own = words(sync)
  const plans = others === 1 ? "another plan" : `${others} other plans`
  const short = others > 0 ? `${own.short}, ${plans} waiting` : own.short
  const long = others > 0 ? `${own.long} Changes of ${plans} have not gone there yet.` : own.long
  const Icon = sync.unsaved === null ? ICONS[sync.kind] : TriangleAlert
  return (
    <div className={`sync ${sync.unsaved === null ? sync.kind : "unsaved"}`} title={long} data-kind={sync.kind} data-waiting={sync.waiting}>
      <Icon aria-hidden />
      <span className="sync-text">{short}</span>
      {/* Said aloud when it begins and ends, and not for each change that goes out. */}
      <span className="hidden" role="status">
        {sync.kind === "syncing" && sync.unsaved === null ? "" : long}
      </span>
    </div>
  )
}
