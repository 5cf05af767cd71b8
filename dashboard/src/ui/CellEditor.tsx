import { type KeyboardEvent, useEffect, useId, useRef, useState } from "react"
import { type FieldKey, isAmountField } from "../plan/fields"
import { toEditText } from "../plan/format"
import type { ParsedInput } from "../plan/input"
import type { FieldValue } from "../plan/schema"

/** Where the focus moves after a commit. */
export type NextCell = "stay" | "down" | "next" | "back"

interface Props {
  field: FieldKey
  label: string
  value: FieldValue
  /** Text that the editor starts with, typed or pasted; `null` for the current value. */
  initialText: string | null
  suggestions: string | null
  read: (text: string) => ParsedInput
  onDraft: (text: string) => void
  onCommit: (value: FieldValue, next: NextCell) => void
  /** Leaves the cell without a change. */
  onLeave: (next: NextCell) => void
  onCancel: () => void
}

/** Editor of a cell. An invalid value stays in the editor with a message. */
export function CellEditor({ field, label, value, initialText, suggestions, read, onDraft, onCommit, onLeave, onCancel }: Props) {
  /** Value when the editor was opened. */
  const initialValue = useRef(typeof value === "number" ? toEditText(value) : (value ?? ""))
  const [text, setText] = useState(initialText ?? initialValue.current)
  const [problem, setProblem] = useState<string | null>(null)
  const input = useRef<HTMLInputElement>(null)
  const isDone = useRef(false)
  const id = useId()

  useEffect(() => {
    const focused = input.current
    focused?.focus({ preventScroll: true })
    if (initialText === null) focused?.select()
  }, [initialText])

  const commit = (next: NextCell) => {
    if (isDone.current) return
    // Without typing there is no change: another user may have set the field meanwhile.
    if (initialText === null && text === initialValue.current) {
      isDone.current = true
      onLeave(next)
      return
    }
    const input = read(text)
    if ("problem" in input) return setProblem(input.problem)
    isDone.current = true
    onCommit(input.value, next)
  }
  const onKeyDown = (event: KeyboardEvent) => {
    // The grid must not handle these keys.
    event.stopPropagation()
    if (event.nativeEvent.isComposing) return
    if (event.key === "Escape") {
      isDone.current = true
      onCancel()
    } else if (event.key === "Enter") commit("down")
    else if (event.key === "Tab") {
      event.preventDefault()
      commit(event.shiftKey ? "back" : "next")
    }
  }
  return (
    <span className="editor">
      <input
        ref={input}
        aria-label={label}
        aria-invalid={problem !== null}
        aria-describedby={problem ? id : undefined}
        className={isAmountField(field) ? "number" : undefined}
        inputMode={isAmountField(field) ? "decimal" : "text"}
        list={suggestions ?? undefined}
        value={text}
        autoComplete="off"
        onChange={(event) => {
          setText(event.target.value)
          setProblem(null)
          onDraft(event.target.value)
        }}
        onKeyDown={onKeyDown}
        onBlur={() => commit("stay")}
      />
      {problem && (
        <span role="alert" id={id} className="editor-problem">
          {problem}
        </span>
      )}
    </span>
  )
}
