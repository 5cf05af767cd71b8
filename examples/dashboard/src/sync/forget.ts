/** Local copies are deleted by the next page, which has not opened them. */
const KEY = "happierwork.forget"

export const forget = (owner: string): void => localStorage.setItem(KEY, owner)

/** Whose copies are to go; null: nobody's. */
export function forgotten(): string | null {
  const owner = localStorage.getItem(KEY)
  localStorage.removeItem(KEY)
  return owner
}
