/**
 * How texts are compared, grouped and counted.
 *
 * The server has the same rules for blank texts and lengths; `tests/fixtures/texts.json` holds both together.
 */

/** Characters that leave no mark: white space, controls, and what Unicode lets a program ignore when it draws text. */
const BLANK = /[\s\p{Cc}\p{Default_Ignorable_Code_Point}\u2800\ufff9-\ufffb]/gu
const IGNORABLE = /[\p{Default_Ignorable_Code_Point}\ufff9-\ufffb]/gu

/** Whether a person sees nothing of this text. */
export const isBlank = (text: string): boolean => text.replace(BLANK, "") === ""

/** Unicode characters, as the server counts them; `length` counts most emoji twice. */
export function countCharacters(text: string): number {
  let count = 0
  for (const _ of text) count += 1
  return count
}

/** Names of one department or place fold to the same text, whatever their case, spacing and invisible characters. Blank names fold to "". */
export const foldText = (text: string): string =>
  isBlank(text) ? "" : text.normalize("NFKC").replace(IGNORABLE, "").replace(/\s+/gu, " ").trim().toLowerCase()

/** {@link foldText} that remembers: many positions share few departments. */
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
