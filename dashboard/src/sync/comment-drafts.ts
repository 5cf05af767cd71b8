/** Comments that a user has typed and not sent, by position. Kept in this browser until they are sent or cleared. */
import { planKey } from "./storage-keys"
import { storeItem } from "./stored-items"

/** Where a comment is being typed. */
export interface CommentPlace {
  /** Owner of the local data. */
  owner: string
  plan: string
  position: string
}

/** Texts of this page, by place. They are read first: without storage they last as long as the page. */
const typed = new Map<string, string>()

const nameOf = ({ owner, plan, position }: CommentPlace): string => JSON.stringify([owner, plan, position])

export function readCommentDraft(place: CommentPlace): string {
  return typed.get(nameOf(place)) ?? readStored(place).get(place.position) ?? ""
}

/** Reads the stored texts again first: other tabs write, too. An empty text removes the draft. */
export function saveCommentDraft(place: CommentPlace, text: string): void {
  typed.set(nameOf(place), text)
  const all = readStored(place)
  if (text === "") all.delete(place.position)
  else all.set(place.position, text)
  storeItem(planKey("comments", place.owner, place.plan), all.size > 0 ? JSON.stringify([...all]) : null)
}

function readStored({ owner, plan }: CommentPlace): Map<string, string> {
  try {
    return new Map(JSON.parse(localStorage.getItem(planKey("comments", owner, plan)) ?? "[]") as [string, string][])
  } catch {
    return new Map()
  }
}
