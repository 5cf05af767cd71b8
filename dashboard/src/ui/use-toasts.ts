/** The messages of the page. */
import { useCallback, useRef, useState } from "react"
import { addToast, type ToastAction, type ToastMessage } from "./Toast"

export type ShowToast = (text: string, ...actions: ToastAction[]) => void

export function useToasts(): { toasts: readonly ToastMessage[]; showToast: ShowToast; dismissToast: (toast: ToastMessage) => void } {
  const [toasts, setToasts] = useState<readonly ToastMessage[]>([])
  const keys = useRef(0)
  const showToast = useCallback<ShowToast>((text, ...actions) => {
    keys.current += 1
    const toast = { key: keys.current, text, actions }
    setToasts((before) => addToast(before, toast))
  }, [])
  const dismissToast = useCallback((toast: ToastMessage) => setToasts((before) => before.filter((other) => other !== toast)), [])
  return { toasts, showToast, dismissToast }
}
