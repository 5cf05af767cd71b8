import { type FormEvent, useId, useState } from "react"
import { MAX_TEXT } from "../../plan/schema"
import { countCharacters, isBlank } from "../../plan/text"
import { Dialog } from "../Dialog"
import { DialogFoot } from "../DialogFoot"

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
  const id = useId()
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const typed = String(new FormData(event.currentTarget).get("name") ?? "").trim()
    if (isBlank(typed)) return setProblem("Enter a name.")
    if (countCharacters(typed) > MAX_TEXT) return setProblem(`A name can have at most ${MAX_TEXT.toLocaleString()} characters.`)
    if (others.includes(typed)) return setProblem(`There is a version named “${typed}”.`)
    onSave(typed)
  }
  return (
    <Dialog title={title} onClose={onClose}>
      <form className="stack" onSubmit={submit} noValidate>
        <p className="fine">{about} Everybody who can open the plan sees the name.</p>
        <label htmlFor={`${id}-name`}>Name of the version</label>
        <input
          id={`${id}-name`}
          name="name"
          defaultValue={name}
          placeholder="Board meeting"
          autoComplete="off"
          aria-invalid={problem !== ""}
          aria-describedby={`${id}-problem`}
        />
        <p role="alert" id={`${id}-problem`} className="problem">
          {problem}
        </p>
        <DialogFoot onCancel={onClose} confirm="Save" />
      </form>
    </Dialog>
  )
}
