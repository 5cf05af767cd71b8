import type { ReactNode } from "react"

interface Props {
  onCancel: () => void
  cancel?: string
  /** Label of the button that does what the dialog is for; without one there is no button. */
  confirm?: string
  /** Called by that button. Without it, the button submits the form around it. */
  onConfirm?: () => void
  isDisabled?: boolean
  isDangerous?: boolean
  /** Another button, apart from the others. */
  apart?: ReactNode
  /** Further buttons before the one that confirms. */
  children?: ReactNode
}

/** The buttons at the end of a dialog. */
export function DialogFoot({
  onCancel,
  cancel = "Cancel",
  confirm,
  onConfirm,
  isDisabled = false,
  isDangerous = false,
  apart,
  children,
}: Props) {
  return (
    <footer className="dialog-foot">
      {apart && (
        <>
          {apart}
          <span className="spring" />
        </>
      )}
      <button type="button" onClick={onCancel}>
        {cancel}
      </button>
      {children}
      {confirm !== undefined && (
        <button
          type={onConfirm ? "button" : "submit"}
          className={isDangerous ? "danger" : "primary"}
          disabled={isDisabled}
          onClick={onConfirm}
        >
          {confirm}
        </button>
      )}
    </footer>
  )
}
