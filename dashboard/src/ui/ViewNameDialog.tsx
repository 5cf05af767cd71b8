import { type FormEvent, useEffect, useRef, useState } from "react"
import { describeView } from "../plan/view"
import { useColumns } from "./columns-context"
import { Dialog } from "./Dialog"
import { DialogFoot } from "./DialogFoot"
import { NameField, nameProblem, typedName } from "./NameField"

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
  const [problem, setProblem] = useState("")
  const input = useRef<HTMLInputElement>(null)
  const columns = useColumns()
  // A dialog focuses its first control when it opens.
  useEffect(() => input.current?.select(), [])
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const typed = typedName(event.currentTarget)
    const found = nameProblem(typed) || (others.includes(typed) ? `There is a view named “${typed}”.` : "")
    setProblem(found)
    if (found === "") onSave(typed)
  }
  return (
    <Dialog title={title} onClose={onClose}>
      <form className="stack" onSubmit={submit} noValidate>
        <p className="fine">Shows {describeView(view, columns)}. Everybody who can open the plan sees it.</p>
        <NameField label="Name" name={name} problem={problem} input={input} />
        <DialogFoot onCancel={onClose} confirm="Save" />
      </form>
    </Dialog>
  )
}
