import { useEffect, useRef } from "react"

export interface ToastMessage {
  key: number
  text: string
  action?: { label: string; run: () => void }
}

const DURATION_MS = 10_000

/** A new toast replaces the others. A toast without an action keeps those that have one. */
export const addToast = (toasts: readonly ToastMessage[], toast: ToastMessage): readonly ToastMessage[] => [
  ...toasts.filter((other) => other.action && !toast.action),
  toast,
]

/** Messages with an optional undo action. */
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
      {toast.action && (
        <button
          type="button"
          onClick={() => {
            onDismiss(toast)
            toast.action?.run()
          }}
        >
          {toast.action.label}
        </button>
      )}
    </div>
  )
}
