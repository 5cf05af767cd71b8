/** Colour scheme: light, dark, or that of the system. */
import { STORAGE_PREFIX } from "../sync/storage-prefix"

export type Theme = "system" | "light" | "dark"
const KEY = `${STORAGE_PREFIX}.theme`

export const readTheme = (): Theme => {
  const saved = localStorage.getItem(KEY)
  return saved === "light" || saved === "dark" ? saved : "system"
}

export function applyTheme(theme: Theme = readTheme()): void {
  if (theme === "system") delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = theme
}

export function saveTheme(theme: Theme): void {
  localStorage.setItem(KEY, theme)
  applyTheme(theme)
}
