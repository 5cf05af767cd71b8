import { type KeyboardEvent, useEffect, useId, useRef, useState } from "react"
import { isBlankAmount, parseAmount } from "../plan/amount"
import { validateField } from "../plan/edit"
import { type FieldKey, isAmountField } from "../plan/fields"
import { toEditText } from "../plan/format"
import type { FieldValue, Settings } from "../plan/schema"

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

/** A parsed value, or a message for the user. */
export type ParsedInput = { value: FieldValue } | { problem: string }

/** Parses user input. An empty amount is unknown (`null`); other amounts are in currency and unit of the plan. */
export function parseInput(field: FieldKey, text: string, { currency, unit }: Settings): ParsedInput {
  if (isAmountField(field)) return isBlankAmount(text) ? { value: null } : parseAmount(text, { currency, unit })
  const value = text.trim()
  const problem = validateField(field, value)
  return problem === null ? { value } : { problem }
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
    // Without typing there is no change: somebody else may have set the field meanwhile.
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
