import { type FormEvent, useId, useState } from "react"
import { copyName } from "../plan/duplicate"
import { MAX_TEXT } from "../plan/schema"
import { countCharacters, isBlank } from "../plan/text"
import { Dialog } from "./Dialog"
import { DialogFoot } from "./DialogFoot"

interface Props {
  /** Name of the original. */
  name: string
  /** Resolves when the copy is open; rejects with a reason. */
  onDuplicate: (name: string) => Promise<void>
  onClose: () => void
}

/** Asks for the name of a copy. */
export function DuplicateDialog({ name, onDuplicate, onClose }: Props) {
  const [problem, setProblem] = useState<string | null>(null)
  const [isBusy, setBusy] = useState(false)
  const id = useId()
  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    if (isBusy) return
    const copy = String(new FormData(event.currentTarget).get("name") ?? "").trim()
    if (isBlank(copy)) return setProblem("Enter a name.")
    if (countCharacters(copy) > MAX_TEXT) return setProblem(`A name can have at most ${MAX_TEXT.toLocaleString()} characters.`)
    setProblem(null)
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
        <label htmlFor={`${id}-name`}>Name of the copy</label>
        <input
          id={`${id}-name`}
          name="name"
          defaultValue={copyName(name)}
          aria-invalid={problem !== null}
          aria-describedby={problem ? `${id}-problem` : undefined}
        />
        <p role="alert" id={`${id}-problem`} className="problem">
          {problem}
        </p>
        <p className="fine">
          The copy gets all positions and settings as they are on this device, including conflicting values. History, comments, scenarios
          and the people with access are not copied.
        </p>
        <DialogFoot onCancel={onClose} confirm={isBusy ? "Copying…" : "Duplicate"} isDisabled={isBusy} />
      </form>
    </Dialog>
  )
}
