/** Collaborators and their current cells, from the presence messages of automerge-repo. */

import { type DocHandle, Presence as Stock } from "@automerge/automerge-repo/slim"
import type { ColumnKey } from "../plan/fields"
import type { PlanDoc } from "../plan/schema"

export interface CellAddress {
  position: string
  field: ColumnKey
}

/** Presence state of a dashboard. */
interface PresenceState {
  user?: { name: string }
  cell?: CellAddress | null
  /** Sent by the server only: users of the legacy protocol. */
  people?: { name: string }[]
  [channel: string]: unknown
}

export interface Person {
  /** Unique among all collaborators. */
  key: string
  name: string
  cell: CellAddress | null
  isLegacy: boolean
}

export class Presence {
  #presence: Stock<PresenceState, PlanDoc>
  #people: readonly Person[] = []
  #cell: CellAddress | null = null
  #name = ""

  constructor(handle: DocHandle<PlanDoc>, name: string, listener: (people: readonly Person[]) => void) {
    this.#presence = new Stock<PresenceState, PlanDoc>({ handle })
    const refresh = () => {
      this.#people = peopleFrom(this.#presence.getPeerStates().value as Record<string, { value: PresenceState }>)
      listener(this.#people)
    }
    for (const event of ["snapshot", "update", "goodbye", "pruning"] as const) this.#presence.on(event, refresh)
    this.#name = name
    this.#enter()
    window.addEventListener("pagehide", this.#leave)
    window.addEventListener("pageshow", this.#enter)
  }

  setCell(cell: CellAddress | null): void {
    if (this.#cell?.position === cell?.position && this.#cell?.field === cell?.field) return
    this.#cell = cell
    this.#presence.broadcast("cell", cell)
  }

  rename(name: string): void {
    this.#name = name
    this.#presence.broadcast("user", { name })
  }

  close(): void {
    window.removeEventListener("pagehide", this.#leave)
    window.removeEventListener("pageshow", this.#enter)
    this.#leave()
  }

  /** Also called when the browser restores the page from its cache. */
  #enter = (): void => {
    if (!this.#presence.running) this.#presence.start({ initialState: { user: { name: this.#name }, cell: this.#cell } })
  }

  #leave = (): void => this.#presence.stop()
}

/** Presence messages are not trusted: malformed entries are dropped. */
function peopleFrom(states: Record<string, { value: PresenceState }>): Person[] {
  const text = (value: unknown) => (typeof value === "string" ? value.trim().slice(0, 60) : "")
  return Object.entries(states).flatMap(([peer, { value }]): Person[] => {
    const legacy = Array.isArray(value.people) ? value.people : []
    const legacyPeople = legacy
      .slice(0, 50)
      .map((person, at) => ({ key: `${peer}/${at}`, name: text(person?.name), cell: null, isLegacy: true }))
    const cell = typeof value.cell?.position === "string" && typeof value.cell?.field === "string" ? value.cell : null
    const name = text(value.user?.name)
    const own = value.user ? [{ key: peer, name: name || "Somebody", cell, isLegacy: false }] : []
    return [...own, ...legacyPeople.filter((person) => person.name !== "")]
  })
}
