/**
 * Comparison, grouping and length of texts.
 *
 * The server applies the same rules for blank and folded texts and lengths; both are tested with `tests/fixtures/texts.json`.
 */

/** Invisible characters: white space, control characters, and characters that Unicode marks as ignorable. */
const BLANK = /[\s\p{Cc}\p{Default_Ignorable_Code_Point}\u2800\ufff9-\ufffb]/gu
const IGNORABLE = /[\p{Default_Ignorable_Code_Point}\ufff9-\ufffb]/gu

/** Whether a text has no visible character. */
export const isBlank = (text: string): boolean => text.replace(BLANK, "") === ""

/** Number of Unicode characters, as the server counts them. `length` counts most emoji twice. */
export function countCharacters(text: string): number {
  let count = 0
  for (const _ of text) count += 1
  return count
}

/** Folds case, width, spacing and invisible characters, so that spellings of one name become equal. Blank names fold to "". */
export const foldText = (text: string): string =>
  isBlank(text) ? "" : text.normalize("NFKC").replace(IGNORABLE, "").replace(/\s+/gu, " ").trim().toLowerCase()

/** {@link foldText} with a cache: many positions share few names. */
export function createTextFolder(): (text: string) => string {
  const known = new Map<string, string>()
  return (text) => {
    const folded = known.get(text) ?? foldText(text)
    known.set(text, folded)
    return folded
  }
}

/** A folded text without accents, for searching. */
export const toSearchText = (text: string): string => foldText(text).normalize("NFKD").replace(/\p{M}/gu, "")

/** Shortens a text for a message. */
export function truncate(text: string): string {
  const letters = [...text.trim()]
  return letters.length > 40 ? `${letters.slice(0, 40).join("")}…` : letters.join("")
}
