import { useEffect, useRef } from "react"

export interface ToastAction {
  label: string
  run: () => void
}

export interface ToastMessage {
  key: number
  text: string
  actions: readonly ToastAction[]
}

const DURATION_MS = 10_000

/** A new toast replaces the others. A toast without actions keeps those that have some. */
export const addToast = (toasts: readonly ToastMessage[], toast: ToastMessage): readonly ToastMessage[] => [
  ...toasts.filter((other) => other.actions.length > 0 && toast.actions.length === 0),
  toast,
]

/** Messages with actions such as undo. */
export function Toasts({ toasts, onDismiss }: { toasts: readonly ToastMessage[]; onDismiss: (toast: ToastMessage) => void }) {
  return (
    <div className="toasts" role="status" aria-live="polite">
      {toasts.map((toast) => (
        <Toast key={toast.key} toast={toast} onDismiss={onDismiss} />
      ))}
    </div>
  )
}

function Toast({ toast, onDismiss }: { toast: ToastMessage; onDismiss: (toast: ToastMessage) => void }) {
  const place = useRef<HTMLDivElement>(null)
  useEffect(() => {
    // Keep the toast while it is hovered or focused.
    const isInUse = () => place.current?.matches(":hover, :focus-within") ?? false
    let timer = window.setTimeout(function end() {
      if (isInUse()) timer = window.setTimeout(end, 1_000)
      else onDismiss(toast)
    }, DURATION_MS)
    return () => window.clearTimeout(timer)
  }, [toast, onDismiss])
  return (
    <div className="toast" ref={place}>
      <span>{toast.text}</span>
      {toast.actions.map(({ label, run }) => (
        <button
          key={label}
          type="button"
          onClick={() => {
            onDismiss(toast)
            run()
          }}
        >
          {label}
        </button>
      ))}
    </div>
  )
}
