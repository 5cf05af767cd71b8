/** The address of the page: `#<document id>?<view>`. */
import { isValidDocumentId } from "@automerge/automerge-repo/slim"

export interface Address {
  /** `null` if the address names no plan. */
  plan: string | null
  /** What the list shows, as `plan/view.ts` writes it. */
  view: string
}

export function readAddress(hash: string = location.hash): Address {
  const [start = "", ...rest] = hash.slice(1).split("?")
  const id = start.replace(/^automerge(:|%3A)/i, "")
  return { plan: isValidDocumentId(id) ? id : null, view: rest.join("?") }
}

export const formatAddress = ({ plan, view }: Address): string => `#${plan ?? ""}${view === "" ? "" : `?${view}`}`
