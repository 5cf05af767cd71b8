/** Colour scheme: light, dark, or that of the system. */
import { STORAGE_PREFIX } from "../sync/storage-prefix"
import { storeItem } from "../sync/stored-items"

export type Theme = "system" | "light" | "dark"
const KEY = `${STORAGE_PREFIX}.theme`

/** The theme that could not be stored. */
let unstored: Theme | null = null

export const readTheme = (): Theme => {
  const saved = unstored ?? localStorage.getItem(KEY)
  return saved === "light" || saved === "dark" ? saved : "system"
}

export function applyTheme(theme: Theme = readTheme()): void {
  if (theme === "system") delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = theme
}

/** Without storage the theme lasts as long as the page. */
export function saveTheme(theme: Theme): void {
  unstored = storeItem(KEY, theme) ? null : theme
  applyTheme(theme)
}
