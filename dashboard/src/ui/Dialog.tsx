import { X } from "lucide-react"
import { type ReactNode, useEffect, useId, useRef } from "react"

interface Props {
  title: string
  onClose: () => void
  children: ReactNode
  /** Shown as a side panel over the full height, instead of centred. */
  isSide?: boolean
}

/** Native modal dialog: it traps the focus and closes on Escape. */
export function Dialog({ title, onClose, children, isSide = false }: Props) {
  const dialog = useRef<HTMLDialogElement>(null)
  /** A click outside closes the dialog only if it also started outside. */
  const isOutside = useRef(false)
  const id = useId()
  useEffect(() => {
    const shown = dialog.current
    const opener = document.activeElement
    shown?.showModal()
    return () => {
      shown?.close()
      if (opener instanceof HTMLElement && opener.isConnected && opener !== document.body) opener.focus()
      else document.getElementById("list")?.focus()
    }
  }, [])
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the browser closes the dialog on Escape
    <dialog
      ref={dialog}
      className={isSide ? "dialog side" : "dialog"}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault()
        onClose()
      }}
      onPointerDown={(event) => {
        isOutside.current = event.target === dialog.current
      }}
      onClick={(event) => {
        if (event.target === dialog.current && isOutside.current) onClose()
      }}
    >
      <div className="dialog-body">
        <header className="dialog-head">
          <h2 id={id}>{title}</h2>
          <button type="button" className="icon" aria-label="Close" onClick={onClose}>
            <X aria-hidden />
          </button>
        </header>
        {children}
      </div>
    </dialog>
  )
}
