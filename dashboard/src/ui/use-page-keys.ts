import { useEffect, useRef } from "react"

/** Commands with keys that work on the whole page. Undo and redo are `null` without edit access. */
export interface PageCommands {
  undo: (() => void) | null
  redo: (() => void) | null
  search: () => void
  commands: () => void
  shortcuts: () => void
}

/** Controls that take text, and have their own undo. */
const TEXT_CONTROLS = "input:not([type=checkbox], [type=radio], [type=range], [type=file]), textarea, select, [contenteditable]"

/** The command of a key, and whether text controls leave it to the page. */
function commandOf({ key, shiftKey, altKey, ctrlKey, metaKey }: KeyboardEvent): [keyof PageCommands, isGlobal: boolean] | null {
  const pressed = key.toLowerCase()
  if (altKey) return null
  if (!ctrlKey && !metaKey) return pressed === "/" ? ["search", false] : pressed === "?" ? ["shortcuts", false] : null
  if (pressed === "k" && !shiftKey) return ["commands", true]
  if (pressed === "y" || (pressed === "z" && shiftKey)) return ["redo", false]
  return pressed === "z" ? ["undo", false] : null
}

/** Ctrl+K, `/`, `?`, Ctrl+Z, Ctrl+Shift+Z and Ctrl+Y on the whole page, except in dialogs and, but for Ctrl+K, in text fields. */
export function usePageKeys(commands: PageCommands): void {
  const latest = useRef(commands)
  latest.current = commands
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      const found = commandOf(event)
      if (!found || event.defaultPrevented || event.isComposing || document.querySelector("dialog[open]")) return
      const [command, isGlobal] = found
      const run = latest.current[command]
      if (!run || (!isGlobal && event.target instanceof Element && event.target.closest(TEXT_CONTROLS))) return
      event.preventDefault()
      run()
    }
    window.addEventListener("keydown", onKeyDown)
    return () => window.removeEventListener("keydown", onKeyDown)
  }, [])
}
