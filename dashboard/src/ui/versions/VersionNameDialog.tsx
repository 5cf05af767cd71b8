import { type FormEvent, useState } from "react"
import { Dialog } from "../Dialog"
import { DialogFoot } from "../DialogFoot"
import { NameField, nameProblem, typedName } from "../NameField"

interface Props {
  title: string
  /** What is named, as a sentence. */
  about: string
  name: string
  /** Names of the other versions. */
  others: readonly string[]
  onSave: (name: string) => void
  onClose: () => void
}

/** Names a version of the plan. */
export function VersionNameDialog({ title, about, name, others, onSave, onClose }: Props) {
  const [problem, setProblem] = useState("")
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const typed = typedName(event.currentTarget)
    const found = nameProblem(typed) || (others.includes(typed) ? `There is a version named “${typed}”.` : "")
    setProblem(found)
    if (found === "") onSave(typed)
  }
  return (
    <Dialog title={title} onClose={onClose}>
      <form className="stack" onSubmit={submit} noValidate>
        <p className="fine">{about} Everybody who can open the plan sees the name.</p>
        <NameField label="Name of the version" name={name} placeholder="Board meeting" problem={problem} />
        <DialogFoot onCancel={onClose} confirm="Save" />
      </form>
    </Dialog>
  )
}
