import { type FormEvent, useEffect, useId, useRef, useState } from "react"
import { countPositions } from "../grid/range"
import type { OwnColumn } from "../plan/fields"
import {
  COLUMN_TYPE_LABELS,
  COLUMN_TYPES,
  type ColumnAtHeads,
  type ColumnInput,
  type ColumnType,
  type PlanColumn,
  titleProblem,
} from "../plan/own-columns"
import { isMistyped, MAX_TEXT, type Position, shownValue } from "../plan/schema"
import { countCharacters } from "../plan/text"
import { Dialog } from "./Dialog"
import { DialogFoot } from "./DialogFoot"
import { useFormDraft, useTypedBefore } from "./form-drafts"

interface Props {
  /** The column when the dialog was opened. */
  before: ColumnAtHeads
  /** Labels of the other columns. */
  others: readonly string[]
  positions: readonly Position[]
  onSave: (input: ColumnInput) => void
  onClose: () => void
}

/** The contents of the form. */
interface ColumnForm {
  title: string
  type: ColumnType | ""
  optionText: string
}

/** What the user has changed in the form, and for which column; `null` for a new one. */
interface ColumnDraft extends Partial<ColumnForm> {
  key: string | null
}

/** One option in each line, without blanks and repetitions. */
const readOptions = (text: string): string[] => [
  ...new Set(
    text
      .split("\n")
      .map((line) => line.trim())
      .filter((line) => line !== ""),
  ),
]

/** Adds or changes a column of the plan. */
export function ColumnDialog({ before, others, positions, onSave, onClose }: Props) {
  const { column } = before
  const key = column?.key ?? null
  const [initial] = useState<ColumnForm>(() => formOf(column))
  const draft = useTypedBefore<ColumnDraft>("column")
  const typed = { ...initial, ...(draft?.key === key && draft) }
  const [title, setTitle] = useState(typed.title)
  const [type, setType] = useState(typed.type)
  const [optionText, setOptionText] = useState(typed.optionText)
  const changed: Partial<ColumnForm> = {
    ...(title !== initial.title && { title }),
    ...(type !== initial.type && { type }),
    ...(optionText !== initial.optionText && { optionText }),
  }
  const hasTyped = Object.keys(changed).length > 0
  useFormDraft("column", hasTyped ? ({ key, ...changed } satisfies ColumnDraft) : null, before)
  const [problem, setProblem] = useState<string | null>(null)
  const input = useRef<HTMLInputElement>(null)
  const id = useId()
  // A dialog focuses its first control when it opens.
  useEffect(() => input.current?.select(), [])
  const options = readOptions(optionText)
  const unfit = column && type !== "" ? countUnfit(positions, column, { title, type, options }) : 0

  const submit = (event: FormEvent) => {
    event.preventDefault()
    const name = title.trim()
    const problem =
      titleProblem(name, others) ??
      ([name, ...options].some((text) => countCharacters(text) > MAX_TEXT)
        ? `A name can have at most ${MAX_TEXT.toLocaleString()} characters.`
        : type === ""
          ? "Choose a type."
          : type === "choice" && options.length === 0
            ? "Enter at least one option."
            : null)
    setProblem(problem)
    if (problem === null && type !== "") onSave({ title: name, type, options })
  }
  return (
    <Dialog title={column ? `Change the column “${column.label}”` : "Add a column"} onClose={onClose}>
      <form className="stack" onSubmit={submit} noValidate>
        <label htmlFor={`${id}-title`}>Name</label>
        <input
          ref={input}
          id={`${id}-title`}
          autoComplete="off"
          placeholder="Cost centre"
          value={title}
          aria-invalid={problem !== null}
          aria-describedby={`${id}-problem`}
          onChange={(event) => setTitle(event.target.value)}
        />
        <label htmlFor={`${id}-type`}>Type</label>
        <select id={`${id}-type`} value={type} onChange={(event) => setType(event.target.value as ColumnType)}>
          {type === "" && <option value="">Unknown</option>}
          {COLUMN_TYPES.map((choice) => (
            <option key={choice} value={choice}>
              {COLUMN_TYPE_LABELS[choice]}
            </option>
          ))}
        </select>
        {type === "choice" && (
          <>
            <label htmlFor={`${id}-options`}>Options, one in each line</label>
            <textarea id={`${id}-options`} rows={5} value={optionText} onChange={(event) => setOptionText(event.target.value)} />
          </>
        )}
        {unfit > 0 && (
          <p role="status" className="notice">
            The values of {countPositions(unfit)} do not fit. They are kept, and marked in the list.
          </p>
        )}
        <p role="alert" id={`${id}-problem`} className="problem">
          {problem}
        </p>
        <DialogFoot onCancel={onClose} confirm={column ? "Save" : "Add column"} />
      </form>
    </Dialog>
  )
}

const formOf = (column: PlanColumn | null): ColumnForm => ({
  title: column?.label ?? "",
  type: column === null ? "text" : column.kind === "unknown" ? "" : column.kind,
  optionText: column?.kind === "choice" ? column.choices.map(({ value }) => value).join("\n") : "",
})

/** Number of positions whose values would not be valid, and are valid now. */
function countUnfit(positions: readonly Position[], column: PlanColumn, { type, options }: ColumnInput): number {
  const { key, label } = column
  const next: OwnColumn =
    type === "choice" ? { key, label, kind: type, choices: options.map((value) => ({ value, label: value })) } : { key, label, kind: type }
  return positions.filter((position) => {
    const value = shownValue(position, key)
    return value !== null && position.mistyped?.[key] === undefined && isMistyped(next, value)
  }).length
}
