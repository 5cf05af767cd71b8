/** The names that changes carry as `updatedBy`. The server has the same rule. */
import { countCharacters, isBlank } from "./text"

/** Characters that the name of an author may have. */
export const MAX_AUTHOR_NAME = 200

/** Why a text cannot be the name of an author; null if it can. */
export function validateAuthorName(name: string): string | null {
  if (isBlank(name)) return "Enter a name."
  if (countCharacters(name) > MAX_AUTHOR_NAME) return `A name can have at most ${MAX_AUTHOR_NAME} characters.`
  return /\p{Cc}/u.test(name) ? "A name cannot contain line breaks, tabs or other control characters." : null
}
