import { type FormEvent, useEffect, useId, useRef, useState } from "react"
import { MAX_TEXT } from "../plan/schema"
import { countCharacters, isBlank } from "../plan/text"
import { describeView } from "../plan/view"
import { useColumns } from "./columns-context"
import { Dialog } from "./Dialog"
import { DialogFoot } from "./DialogFoot"

interface Props {
  title: string
  /** The view as the address names it. */
  view: string
  name: string
  /** Names of the other views. */
  others: readonly string[]
  onSave: (name: string) => void
  onClose: () => void
}

/** Names a saved view. */
export function ViewNameDialog({ title, view, name, others, onSave, onClose }: Props) {
  const [problem, setProblem] = useState<string | null>(null)
  const input = useRef<HTMLInputElement>(null)
  const columns = useColumns()
  const id = useId()
  // A dialog focuses its first control when it opens.
  useEffect(() => input.current?.select(), [])
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const typed = String(new FormData(event.currentTarget).get("name") ?? "").trim()
    if (isBlank(typed)) return setProblem("Enter a name.")
    if (countCharacters(typed) > MAX_TEXT) return setProblem(`A name can have at most ${MAX_TEXT.toLocaleString()} characters.`)
    if (others.includes(typed)) return setProblem(`There is a view named “${typed}”.`)
    onSave(typed)
  }
  return (
    <Dialog title={title} onClose={onClose}>
      <form className="stack" onSubmit={submit} noValidate>
        <p className="fine">Shows {describeView(view, columns)}. Everybody who can open the plan sees it.</p>
        <label htmlFor={id}>Name</label>
        <input ref={input} id={id} name="name" defaultValue={name} autoComplete="off" aria-invalid={problem !== null} />
        <p role="alert" className="problem">
          {problem}
        </p>
        <DialogFoot onCancel={onClose} confirm="Save" />
      </form>
    </Dialog>
  )
}
