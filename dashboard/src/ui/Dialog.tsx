import { X } from "lucide-react"
import { type ReactNode, useEffect, useId, useRef } from "react"
import { focusList } from "./focus-list"

interface Props {
  title: string
  onClose: () => void
  children: ReactNode
  /** Shown as a side panel over the full height, instead of centred. */
  isSide?: boolean
}

const FIRST_FIELD = "form :is(input:not([type=hidden], [type=file]), select, textarea):enabled"

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
    // The browser focuses the first control, which closes the dialog. A form starts with its first field.
    if (shown?.contains(document.activeElement) && document.activeElement?.closest("header")) {
      const field = shown.querySelector<HTMLElement>(FIRST_FIELD)
      field?.focus()
      // As after the Tab key, typing replaces the text.
      if (field instanceof HTMLInputElement) field.select()
    }
    return () => {
      shown?.close()
      if (opener instanceof HTMLElement && opener.isConnected && opener !== document.body) opener.focus()
      else focusList({ scroll: false })
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
