import { type KeyboardEvent, useEffect, useId, useRef, useState } from "react"
import { problemWith } from "../plan/edit"
import { parseAmount, typed } from "../plan/money"
import type { Field, FieldValue } from "../plan/schema"

/** Where to go when a value was taken. */
export type Onward = "stay" | "down" | "next" | "back"

interface Props {
  field: Field
  label: string
  value: FieldValue
  /** What was typed or pasted to begin with; null: the value as it is. */
  begin: string | null
  suggestions: string | null
  onDraft: (text: string) => void
  onCommit: (value: FieldValue, onward: Onward) => void
  /** Nothing was changed. */
  onLeave: (onward: Onward) => void
  onCancel: () => void
}

/** A typed value, or why it is refused. */
export type Input = { value: FieldValue } | { problem: string }

/** Reads what a person typed. An empty budget is unknown (null). */
export function readInput(field: Field, text: string): Input {
  let value: FieldValue = text.trim()
  if (field === "budget") {
    value = value === "" ? null : parseAmount(text)
    if (value === null && text.trim() !== "") return { problem: "A budget is a number." }
  }
  const problem = problemWith(field, value)
  return problem === null ? { value } : { problem }
}

/** A cell while it is edited. What cannot be taken stays there, with the reason, until it can. */
export function CellEditor({ field, label, value, begin, suggestions, onDraft, onCommit, onLeave, onCancel }: Props) {
  /** What stood there when the cell was opened. */
  const shown = useRef(field === "budget" ? typed(typeof value === "number" ? value : null) : String(value ?? ""))
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
    const read = readInput(field, text)
    if ("problem" in read) return setProblem(read.problem)
    isDone.current = true
    onCommit(read.value, onward)
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
