/** People who can be mentioned, and the comments that mention the user. */
import { useMemo } from "react"
import type { Mention } from "../../plan/mentions"
import { mentionsOf } from "../../plan/mentions"
import type { PlanSnapshot } from "../../sync/plan-store"

/** The key of a mention among the dismissed items. */
export const mentionKey = ({ comment }: Mention): string => `comment/${comment.id}`

/**
 * `people`: the authors in the plan and the collaborators, without the user. `me`: empty if the user has no name. `dismissed`: keys of
 * dismissed items.
 */
export function useMentions(
  { positions, comments, savedViews, versions, people }: PlanSnapshot,
  me: string,
  dismissed: ReadonlySet<string>,
): { people: readonly string[]; mentions: readonly Mention[] } {
  const authors = useMemo(() => {
    const found = new Set<string>()
    for (const { updatedBy, approval } of positions) {
      found.add(updatedBy)
      if (approval) found.add(approval.by)
    }
    for (const { by } of [...[...comments.values()].flat(), ...savedViews, ...versions]) found.add(by)
    return found
  }, [positions, comments, savedViews, versions])
  const names = useMemo(() => {
    const distinct = new Map<string, string>()
    for (const name of [...people.map((person) => person.name), ...authors]) {
      const key = name.toLowerCase()
      if (name.trim() !== "" && !NOBODY.has(key) && key !== me.toLowerCase() && !distinct.has(key)) distinct.set(key, name)
    }
    return [...distinct.values()].sort((one, other) => one.localeCompare(other))
  }, [people, authors, me])
  const mentions = useMemo(
    () => mentionsOf(me, comments, names).filter((mention) => !dismissed.has(mentionKey(mention))),
    [me, comments, names, dismissed],
  )
  return { people: names, mentions }
}

/** What people without a name are called. */
const NOBODY: ReadonlySet<string> = new Set(["somebody"])
