import { type FormEvent, type ReactNode, useId, useState } from "react"
import { MAX_TEXT } from "../../plan/schema"
import { countCharacters, isBlank } from "../../plan/text"
import { Dialog } from "../Dialog"
import { DialogFoot } from "../DialogFoot"

interface Props {
  title: string
  /** The name so far. */
  name: string
  /** Label of the button that saves. */
  button: string
  /** Why nothing can be saved now; `null` if it can. */
  obstacle: string | null
  /** Resolves when the server has saved the name; rejects with its reason. */
  onSave: (name: string) => Promise<void>
  onClose: () => void
  children?: ReactNode
}

/** Asks for the name of a scenario. */
export function ScenarioNameDialog({ title, name, button, obstacle, onSave, onClose, children }: Props) {
  const [problem, setProblem] = useState("")
  const [isBusy, setBusy] = useState(false)
  const id = useId()
  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const chosen = String(new FormData(event.currentTarget).get("name") ?? "").trim()
    if (isBusy || obstacle !== null) return
    if (isBlank(chosen)) return setProblem("Enter a name.")
    if (countCharacters(chosen) > MAX_TEXT) return setProblem(`A name can have at most ${MAX_TEXT.toLocaleString()} characters.`)
    setBusy(true)
    setProblem("")
    try {
      await onSave(chosen)
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error))
      setBusy(false)
    }
  }
  return (
    <Dialog title={title} onClose={onClose}>
      <form className="stack" onSubmit={(event) => void submit(event)} noValidate aria-busy={isBusy}>
        {children}
        <label htmlFor={`${id}-name`}>Name of the scenario</label>
        <input
          id={`${id}-name`}
          name="name"
          defaultValue={name}
          placeholder="Hiring freeze"
          autoComplete="off"
          aria-invalid={problem !== ""}
          aria-describedby={`${id}-problem`}
        />
        <p role="alert" id={`${id}-problem`} className="problem">
          {problem}
        </p>
        {obstacle !== null && (
          <p role="status" className="notice">
            {obstacle}
          </p>
        )}
        <DialogFoot onCancel={onClose} confirm={button} isDisabled={isBusy || obstacle !== null} />
      </form>
    </Dialog>
  )
}
