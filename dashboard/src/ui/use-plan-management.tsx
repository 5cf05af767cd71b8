/** Sharing, duplicating, archiving, deleting and printing of the open plan: commands for its menu and the palette, and their dialogs. */
import { Archive, ArchiveRestore, Copy, Link, type LucideIcon, Pencil, Plus, Printer, Trash2, UserPlus } from "lucide-react"
import { type ReactNode, useCallback, useState } from "react"
import { setArchived } from "../plan/archive"
import type { PlanStore } from "../sync/plan-store"
import type { PlanInfo } from "../sync/plans"
import type { Session } from "../sync/session"
import { DeleteDialog } from "./DeleteDialog"
import { DuplicateDialog } from "./DuplicateDialog"
import { ShareDialog } from "./ShareDialog"
import type { ToastAction } from "./Toast"

/** A command for the open plan. */
export interface PlanCommand {
  id: string
  /** In the menu of the plan. */
  label: string
  /** In the command palette. */
  command: string
  keys?: string
  icon: LucideIcon
  isDangerous?: true
  run: () => void
}

interface Options {
  store: PlanStore
  /** The plan in the list of the server; `undefined` before it is listed. */
  info: PlanInfo | undefined
  name: string
  author: string
  session: Session
  isOnline: boolean
  /** The user has write access, whether or not the plan is archived. */
  canWrite: boolean
  isArchived: boolean
  /** The plan was deleted, or the user has lost access to it. */
  isRemoved: boolean
  showToast: (text: string, ...actions: ToastAction[]) => void
  onSettings: () => void
  onCopyLink: () => void
  onCreate: () => void
  onDuplicate: (name: string) => Promise<void>
  onDelete: (plan: PlanInfo) => Promise<void>
  onAccessChanged: () => void
}

export interface PlanManagement {
  commands: readonly PlanCommand[]
  /** The open dialog. */
  dialog: ReactNode
  share: () => void
  restore: () => void
}

export function usePlanManagement(options: Options): PlanManagement {
  const { store, info, name, author, session, isOnline, canWrite, isArchived, isRemoved, showToast } = options
  const [open, setOpen] = useState<"share" | "duplicate" | "delete" | null>(null)
  const close = useCallback(() => setOpen(null), [])
  const canCreate = session.user?.role !== "viewer"
  const isOwner = !isRemoved && info?.access === "own"
  const title = name || "Untitled plan"

  const restore = () => {
    setArchived(store.plan, false, author)
    showToast(`“${title}” was restored from the archive.`)
  }
  const archive = () => {
    setOpen(null)
    setArchived(store.plan, true, author)
    showToast(`“${title}” was archived for everybody.`, { label: "Restore", run: restore })
  }
  const share = () => setOpen("share")
  const commands: (PlanCommand | false)[] = [
    !isRemoved && { id: "share", label: "Share…", command: "Share this plan", icon: UserPlus, run: share },
    { id: "link", label: "Copy link", command: "Copy a link to this plan", icon: Link, run: options.onCopyLink },
    { id: "print", label: "Print…", command: "Print, or save as PDF", keys: "Ctrl+P", icon: Printer, run: () => window.print() },
    canWrite &&
      !isArchived && { id: "settings", label: "Plan settings…", command: "Change plan settings", icon: Pencil, run: options.onSettings },
    canCreate && { id: "duplicate", label: "Duplicate…", command: "Duplicate this plan", icon: Copy, run: () => setOpen("duplicate") },
    canWrite &&
      (isArchived
        ? {
            id: "restore",
            label: "Restore from archive",
            command: "Restore this plan from the archive",
            icon: ArchiveRestore,
            run: restore,
          }
        : { id: "archive", label: "Archive", command: "Archive this plan", icon: Archive, run: archive }),
    isOwner && {
      id: "delete",
      label: "Delete…",
      command: "Delete this plan",
      icon: Trash2,
      isDangerous: true,
      run: () => setOpen("delete"),
    },
    canCreate && { id: "create", label: "New plan…", command: "Create a plan", icon: Plus, run: options.onCreate },
  ]
  const dialog =
    open === "share" ? (
      <ShareDialog
        id={store.id}
        name={name}
        session={session}
        isOnline={isOnline}
        access={info?.isLocal ? undefined : info?.access}
        onChanged={options.onAccessChanged}
        onClose={close}
      />
    ) : open === "duplicate" ? (
      <DuplicateDialog name={name} onDuplicate={options.onDuplicate} onClose={close} />
    ) : open === "delete" && info ? (
      <DeleteDialog
        name={name}
        isOnline={isOnline}
        isDefault={info.isDefault}
        onArchive={canWrite && !isArchived ? archive : null}
        onDelete={() => options.onDelete(info)}
        onClose={close}
      />
    ) : null
  return { commands: commands.filter((command) => command !== false), dialog, share, restore }
}
