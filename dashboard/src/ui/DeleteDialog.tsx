import { type FormEvent, useId, useState } from "react"
import { foldText } from "../plan/text"
import { Dialog } from "./Dialog"
import { DialogFoot } from "./DialogFoot"

interface Props {
  name: string
  isOnline: boolean
  /** The server keeps its default plan. */
  isDefault: boolean
  /** Archives the plan instead; `null` if that is not possible. */
  onArchive: (() => void) | null
  /** Resolves when the plan is deleted; rejects with the reason of the server. */
  onDelete: () => Promise<void>
  onClose: () => void
}

/** Deletes a plan after the user has typed its name. */
export function DeleteDialog({ name, isOnline, isDefault, onArchive, onDelete, onClose }: Props) {
  const [typed, setTyped] = useState("")
  const [problem, setProblem] = useState("")
  const [isBusy, setBusy] = useState(false)
  const id = useId()
  const expected = foldText(name) === "" ? "Untitled plan" : name.trim()
  const isConfirmed = foldText(typed) === foldText(expected)
  const submit = async (event: FormEvent) => {
    event.preventDefault()
    if (isBusy) return
    if (!isConfirmed) return setProblem(`Type “${expected}” to confirm.`)
    setBusy(true)
    setProblem("")
    try {
      await onDelete()
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error))
      setBusy(false)
    }
  }
  const archiveButton = onArchive && (
    <button type="button" onClick={onArchive}>
      Archive instead
    </button>
  )
  if (isDefault || !isOnline)
    return (
      <Dialog title="Delete plan" onClose={onClose}>
        <p>
          {isDefault
            ? "The default plan of a server cannot be deleted, because older pages use it."
            : "You are offline. Connect to the server to delete this plan."}
          {onArchive && " You can archive it: it is then listed apart and not edited until somebody restores it."}
        </p>
        <DialogFoot onCancel={onClose}>{archiveButton}</DialogFoot>
      </Dialog>
    )
  return (
    <Dialog title="Delete plan" onClose={onClose}>
      <form className="stack" onSubmit={(event) => void submit(event)} noValidate>
        <p>
          This deletes <strong>{expected}</strong> for everybody, with its history. You cannot undo it.
        </p>
        <ul className="consequences">
          <li>Copies on the devices of other people stay there, but no longer sync. None of them can bring the plan back.</li>
          <li>Changes that others have not synced yet are not received any more.</li>
          <li>The copy on this device is removed.</li>
          <li>The server keeps the content on its disk for 30 days, unless its operator has set another time.</li>
        </ul>
        <label htmlFor={`${id}-name`}>
          Type <strong>{expected}</strong> to confirm
        </label>
        <input
          id={`${id}-name`}
          autoComplete="off"
          spellCheck={false}
          value={typed}
          aria-invalid={problem !== ""}
          aria-describedby={`${id}-problem`}
          onChange={(event) => setTyped(event.target.value)}
        />
        <p role="alert" id={`${id}-problem`} className="problem">
          {problem}
        </p>
        <DialogFoot onCancel={onClose} confirm="Delete plan" isDangerous isDisabled={!isConfirmed || isBusy} apart={archiveButton} />
      </form>
    </Dialog>
  )
}
