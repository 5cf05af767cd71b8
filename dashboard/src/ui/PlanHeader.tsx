import type { PlanInfo, ScenarioPlace } from "../sync/plans"
import type { Person } from "../sync/presence"
import type { Session } from "../sync/session"
import type { SyncState } from "../sync/sync-status"
import { Logo } from "./Logo"
import { People } from "./People"
import { PlanMenu } from "./PlanMenu"
import { ShareButton } from "./ShareButton"
import { SyncBadge } from "./SyncBadge"
import { UserMenu } from "./UserMenu"
import type { PlanCommand } from "./use-plan-management"

interface Props {
  plans: readonly PlanInfo[]
  /** Number of unsynced changes by plan. */
  pending: ReadonlyMap<string, number>
  /** Id of the open document. */
  current: string
  /** Name of the plan. */
  planName: string
  /** The open scenario; `null` if a plan is open. */
  scenario: ScenarioPlace | null
  isArchived: boolean
  commands: readonly PlanCommand[]
  people: readonly Person[]
  sync: SyncState
  /** Number of other documents with unsynced changes. */
  otherPending: number
  session: Session
  /** Name of the user. */
  name: string
  onOpen: (id: string) => void
  /** `null` if there is nothing to share. */
  onShare: (() => void) | null
  onName: (name: string) => void
  onLogout: () => void
}

/** The top of the page: the menu of plans, the people, the state of the connection, and the user. */
export function PlanHeader({ people, sync, otherPending, session, name, onShare, onName, onLogout, planName, ...menu }: Props) {
  return (
    <header className="top">
      <Logo />
      <h1>
        <PlanMenu {...menu} name={planName} />
      </h1>
      <span className="spring" />
      <People people={people} />
      <SyncBadge sync={sync} otherPlans={otherPending} />
      {onShare && <ShareButton onShare={onShare} />}
      <UserMenu session={session} name={name} onName={onName} onLogout={onLogout} />
    </header>
  )
}
