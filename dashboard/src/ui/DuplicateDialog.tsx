import { type FormEvent, useState } from "react"
import { copyName } from "../plan/duplicate"
import { Dialog } from "./Dialog"
import { DialogFoot } from "./DialogFoot"
import { NameField, nameProblem, typedName } from "./NameField"

interface Props {
  /** Name of the original. */
  name: string
  /** Resolves when the copy is open; rejects with a reason. */
  onDuplicate: (name: string) => Promise<void>
  onClose: () => void
}

/** Asks for the name of a copy. */
export function DuplicateDialog({ name, onDuplicate, onClose }: Props) {
  const [problem, setProblem] = useState("")
  const [isBusy, setBusy] = useState(false)
  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    if (isBusy) return
    const copy = typedName(event.currentTarget)
    const found = nameProblem(copy)
    setProblem(found)
    if (found !== "") return
    setBusy(true)
    try {
      await onDuplicate(copy)
      onClose()
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error))
      setBusy(false)
    }
  }
  return (
    <Dialog title="Duplicate plan" onClose={onClose}>
      <form className="stack" onSubmit={(event) => void submit(event)} noValidate>
        <NameField label="Name of the copy" name={copyName(name)} problem={problem} />
        <p className="fine">
          The copy gets all positions and settings as they are on this device, including conflicting values. History, comments, scenarios
          and the people with access are not copied.
        </p>
        <DialogFoot onCancel={onClose} confirm={isBusy ? "Copying…" : "Duplicate"} isDisabled={isBusy} />
      </form>
    </Dialog>
  )
}
