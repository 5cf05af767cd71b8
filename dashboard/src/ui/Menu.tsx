import { type ReactNode, useEffect, useRef, useState } from "react"

interface Props {
  label: string
  /** Content of the button. */
  button: ReactNode
  className?: string
  /** `close` closes the panel and then runs the callback. */
  children: (close: (then?: () => void) => void) => ReactNode
}

/** A button with a panel that closes on Escape or on a click outside. */
export function Menu({ label, button, className = "", children }: Props) {
  const [isOpen, setOpen] = useState(false)
  const place = useRef<HTMLDivElement>(null)
  const opener = useRef<HTMLButtonElement>(null)
  const close = (then?: () => void) => {
    setOpen(false)
    opener.current?.focus()
    then?.()
  }
  useEffect(() => {
    if (!isOpen) return
    const away = (event: Event) => {
      if (!place.current?.contains(event.target as Node)) setOpen(false)
    }
    document.addEventListener("pointerdown", away)
    document.addEventListener("focusin", away)
    return () => {
      document.removeEventListener("pointerdown", away)
      document.removeEventListener("focusin", away)
    }
  }, [isOpen])
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: Escape closes the panel
    <div
      className={`menu ${className}`}
      ref={place}
      onKeyDown={(event) => {
        if (event.key === "Escape" && isOpen) {
          event.stopPropagation()
          close()
        }
      }}
    >
      <button ref={opener} type="button" aria-label={label} aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
        {button}
      </button>
      {isOpen && <div className="panel">{children(close)}</div>}
    </div>
  )
}
