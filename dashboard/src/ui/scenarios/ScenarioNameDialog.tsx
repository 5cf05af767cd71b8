import { type FormEvent, type ReactNode, useState } from "react"
import { Dialog } from "../Dialog"
import { DialogFoot } from "../DialogFoot"
import { NameField, nameProblem, typedName } from "../NameField"

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
  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const chosen = typedName(event.currentTarget)
    if (isBusy || obstacle !== null) return
    const found = nameProblem(chosen)
    setProblem(found)
    if (found !== "") return
    setBusy(true)
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
        <NameField label="Name of the scenario" name={name} placeholder="Hiring freeze" problem={problem} />
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
