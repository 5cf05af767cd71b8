/** Mentions in comments: `@` and the name of a person, in any case. Names may contain spaces. */
import type { CommentsByPosition } from "./comment-index"
import type { Comment } from "./comments"

/** A part of a text; `mention` is the name as it is known. */
export interface TextPart {
  text: string
  mention: string | null
}

/** Whether a name ends before this rest of a text. A full stop or a hyphen may end a sentence. */
const isEndOfName = (rest: string): boolean => !/^(?:[\p{L}\p{N}_@]|[.-][\p{L}\p{N}])/u.test(rest)

/** Splits a text at the mentions of known people. The longest name wins: `@Asha Rao` does not mention Asha. */
export function splitMentions(text: string, names: readonly string[]): TextPart[] {
  const known = names.filter((name) => name !== "").sort((one, other) => other.length - one.length)
  const parts: TextPart[] = []
  let from = 0
  for (let at = text.indexOf("@"); at !== -1; at = text.indexOf("@", at + 1)) {
    if (at < from || /[\p{L}\p{N}_]$/u.test(text.slice(0, at))) continue
    const rest = text.slice(at + 1)
    const name = known.find(
      (other) => rest.slice(0, other.length).toLowerCase() === other.toLowerCase() && isEndOfName(rest.slice(other.length)),
    )
    if (name === undefined) continue
    if (at > from) parts.push({ text: text.slice(from, at), mention: null })
    from = at + 1 + name.length
    parts.push({ text: text.slice(at, from), mention: name })
  }
  if (from < text.length) parts.push({ text: text.slice(from), mention: null })
  return parts
}

/** The name that is being typed before the cursor, and the index of its `@`; `null` if there is none. */
export function typedMention(text: string, cursor: number): { at: number; query: string } | null {
  const before = text.slice(0, cursor)
  const at = before.lastIndexOf("@")
  if (at === -1 || /[\p{L}\p{N}_]$/u.test(before.slice(0, at))) return null
  const query = before.slice(at + 1)
  return /^\S*(?: \S*)?$/u.test(query) ? { at, query } : null
}

/** People whose name, or one of its words, begins with the query. */
export function matchingPeople(people: readonly string[], query: string): string[] {
  const typed = query.toLowerCase()
  return people.filter((name) => {
    const lower = name.toLowerCase()
    return lower.startsWith(typed) || lower.split(/[\s.@_-]+/u).some((word) => typed !== "" && word.startsWith(typed))
  })
}

/** A comment of somebody else that mentions this user. */
export interface Mention {
  position: string
  comment: Comment
}

/** The unresolved comments that mention a user, oldest first. */
export function mentionsOf(me: string, comments: CommentsByPosition, names: readonly string[]): Mention[] {
  if (me === "") return []
  const isMe = (name: string | null) => name?.toLowerCase() === me.toLowerCase()
  return [...comments]
    .flatMap(([position, thread]) => thread.map((comment): Mention => ({ position, comment })))
    .filter(({ comment }) => !comment.done && !isMe(comment.by) && comment.text.includes("@"))
    .filter(({ comment }) => splitMentions(comment.text, [...names, me]).some(({ mention }) => isMe(mention)))
    .sort((one, other) => (one.comment.at ?? 0) - (other.comment.at ?? 0))
}
