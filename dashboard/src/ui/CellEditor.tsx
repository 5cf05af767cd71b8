import { type KeyboardEvent, useEffect, useId, useRef, useState } from "react"
import { isBlankAmount, readAmount } from "../plan/amount"
import { problemWith } from "../plan/edit"
import { typed } from "../plan/money"
import type { Field, FieldValue, Settings } from "../plan/schema"

/** Where to go when a value was taken. */
export type Onward = "stay" | "down" | "next" | "back"

interface Props {
  field: Field
  label: string
  value: FieldValue
  /** What was typed or pasted to begin with; null: the value as it is. */
  begin: string | null
  suggestions: string | null
  read: (text: string) => Input
  onDraft: (text: string) => void
  onCommit: (value: FieldValue, onward: Onward) => void
  /** Nothing was changed. */
  onLeave: (onward: Onward) => void
  onCancel: () => void
}

/** A typed value, or why it is refused. */
export type Input = { value: FieldValue } | { problem: string }

/** Reads what a person typed. An empty budget is unknown (null); others are amounts in the plan's currency and unit. */
export function readInput(field: Field, text: string, { currency, unit }: Settings): Input {
  if (field === "budget") return isBlankAmount(text) ? { value: null } : readAmount(text, { currency, unit })
  const value = text.trim()
  const problem = problemWith(field, value)
  return problem === null ? { value } : { problem }
}

/** A cell while it is edited. What cannot be taken stays there, with the reason, until it can. */
export function CellEditor({ field, label, value, begin, suggestions, read, onDraft, onCommit, onLeave, onCancel }: Props) {
  /** What stood there when the cell was opened. */
  const shown = useRef(typeof value === "number" ? typed(value) : (value ?? ""))
  const [text, setText] = useState(begin ?? shown.current)
  const [problem, setProblem] = useState<string | null>(null)
  const input = useRef<HTMLInputElement>(null)
  const isDone = useRef(false)
  const id = useId()

  useEffect(() => {
    const focused = input.current
    focused?.focus({ preventScroll: true })
    if (begin === null) focused?.select()
  }, [begin])

  const commit = (onward: Onward) => {
    if (isDone.current) return
    // Who only looks changes nothing: meanwhile somebody else may have.
    if (begin === null && text === shown.current) {
      isDone.current = true
      onLeave(onward)
      return
    }
    const input = read(text)
    if ("problem" in input) return setProblem(input.problem)
    isDone.current = true
    onCommit(input.value, onward)
  }
  const onKeyDown = (event: KeyboardEvent) => {
    // The grid's own keys are not for here.
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
        className={field === "budget" ? "number" : undefined}
        inputMode={field === "budget" ? "decimal" : "text"}
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
