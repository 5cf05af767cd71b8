import { useEffect, useRef } from "react"

interface UndoActions {
  undo: () => Promise<void>
  redo: () => Promise<void>
}

/** Controls with their own undo. */
const TEXT_CONTROLS = "input:not([type=checkbox], [type=radio], [type=range], [type=file]), textarea, [contenteditable]"

/** Ctrl+Z, Ctrl+Shift+Z and Ctrl+Y on the whole page, except in text fields and dialogs. `null` without edit access. */
export function useUndoKeys(actions: UndoActions | null): void {
  const latest = useRef(actions)
  latest.current = actions
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      const { key, shiftKey, altKey, target } = event
      if (!latest.current || event.defaultPrevented || altKey || !(event.ctrlKey || event.metaKey)) return
      if (document.querySelector("dialog[open]") || (target instanceof Element && target.closest(TEXT_CONTROLS))) return
      const pressed = key.toLowerCase()
      const isRedo = pressed === "y" || (pressed === "z" && shiftKey)
      if (!isRedo && pressed !== "z") return
      event.preventDefault()
      if (isRedo) void latest.current.redo()
      else void latest.current.undo()
    }
    window.addEventListener("keydown", onKeyDown)
    return () => window.removeEventListener("keydown", onKeyDown)
  }, [])
}
