/** Local copies are deleted by the next page, which has not opened them. */
const KEY = "happierwork.forget"

export const forget = (owner: string): void => localStorage.setItem(KEY, owner)

/** Whose copies are to go; null: nobody's. */
export const toForget = (): string | null => localStorage.getItem(KEY)

/** They are gone: so goes all that was remembered beside them. */
export function forgotten(): void {
  for (const key of Object.keys(localStorage)) {
    if (/^happierwork\.(forget$|session$|heads\.|plans\.|dismissed\.|lost\.)/.test(key)) localStorage.removeItem(key)
  }
}

/** Tabs that have the copies open let go of them. */
export function leaveWithOthers(): void {
  window.addEventListener("storage", ({ key, newValue }) => {
    if (key === KEY && newValue !== null) location.reload()
  })
}
