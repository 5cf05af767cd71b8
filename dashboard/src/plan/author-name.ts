/** Author names, stored in changes as `updatedBy`. The server applies the same rules. */
import { countCharacters, isBlank } from "./text"

/** Maximum length in characters. */
export const MAX_AUTHOR_NAME = 200

/** Why a text is not a valid author name; `null` if it is valid. */
export function validateAuthorName(name: string): string | null {
  if (isBlank(name)) return "Enter a name."
  if (countCharacters(name) > MAX_AUTHOR_NAME) return `A name can have at most ${MAX_AUTHOR_NAME} characters.`
  return /\p{Cc}/u.test(name) ? "A name cannot contain line breaks, tabs or other control characters." : null
}
