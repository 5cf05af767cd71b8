import { type ReactNode, useLayoutEffect, useRef } from "react"

interface Props {
  id?: string
  role: "listbox" | "group"
  label: string
  children: ReactNode
}

const GAP = 4

/**
 * A panel below the editor of a cell, or above it where the window has no room. It is in the top layer, so that neither the toolbar nor other
 * rows cover it. A press in it leaves the focus in the editor.
 */
export function EditorPopup({ id, role, label, children }: Props) {
  const panel = useRef<HTMLDivElement>(null)
  useLayoutEffect(() => {
    const { current } = panel
    const editor = current?.parentElement
    if (!current || !editor) return
    current.showPopover()
    const place = () => {
      const anchor = editor.getBoundingClientRect()
      const { offsetHeight, offsetWidth } = current
      const isAbove = anchor.bottom + GAP + offsetHeight > window.innerHeight && anchor.top > offsetHeight + GAP
      current.style.minInlineSize = `${anchor.width}px`
      current.style.insetBlockStart = `${isAbove ? anchor.top - GAP - offsetHeight : anchor.bottom + GAP}px`
      current.style.left = `${Math.max(GAP, Math.min(anchor.left, document.documentElement.clientWidth - offsetWidth - GAP))}px`
    }
    place()
    window.addEventListener("scroll", place, { passive: true })
    window.addEventListener("resize", place)
    // The page above may grow while the panel is open.
    const observer = new ResizeObserver(place)
    observer.observe(document.body)
    return () => {
      observer.disconnect()
      window.removeEventListener("scroll", place)
      window.removeEventListener("resize", place)
    }
  }, [])
  return (
    // biome-ignore lint/a11y/useAriaPropsSupportedByRole: both roles support a name
    <div
      ref={panel}
      id={id}
      role={role}
      aria-label={label}
      popover="manual"
      className="editor-popup"
      onPointerDown={(event) => event.preventDefault()}
    >
      {children}
    </div>
  )
}
