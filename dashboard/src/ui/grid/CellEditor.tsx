import { type KeyboardEvent, useEffect, useId, useRef, useState } from "react"
import { matchingChoices } from "../../plan/choice"
import { shiftDate } from "../../plan/date"
import { type ChoiceField, type Field, fieldLabel, isChoiceField, isMonthField, isNumeric, kindOf } from "../../plan/fields"
import { displayValue, toEditText } from "../../plan/format"
import type { ParsedInput } from "../../plan/input"
import { shiftMonth } from "../../plan/month"
import type { FieldValue } from "../../plan/schema"
import { currentDate, currentMonth, useMediaQuery } from "../hooks"
import { ChoiceList, optionId, optionsOf } from "./ChoiceList"
import { MonthPicker } from "./MonthPicker"

/** Where the focus moves after a commit. `cell`: to the edited cell. `stay`: nowhere, the focus has left the editor. */
export type NextCell = "stay" | "cell" | "down" | "next" | "back"

interface Props {
  field: Field
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

/** The text in which a value is edited: the label of a choice, a month in digits. */
function editText(field: Field, value: FieldValue): string {
  if (typeof value === "number") return toEditText(value)
  return isChoiceField(field) ? displayValue(field, value) : (value ?? "")
}

/** Number of months by which a key moves the entered month. */
const MONTH_STEPS: Record<string, number> = { ArrowUp: -1, ArrowDown: 1, PageUp: -12, PageDown: 12 }
/** Number of days and of months by which a key moves the entered date. */
const DATE_STEPS: Record<string, readonly [days: number, months: number]> = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  PageUp: [0, -1],
  PageDown: [0, 1],
}

/** Editor of a cell. An invalid value stays in the editor with a message. Choices and months have a panel below the text. */
export function CellEditor({ field, label, value, initialText, suggestions, read, onDraft, onCommit, onLeave, onCancel }: Props) {
  /** Value when the editor was opened. */
  const initialValue = useRef(editText(field, value))
  const [text, setText] = useState(initialText ?? initialValue.current)
  const [problem, setProblem] = useState<string | null>(null)
  const input = useRef<HTMLInputElement>(null)
  const isDone = useRef(false)
  const id = useId()
  // On a touch screen the panel replaces the keyboard.
  const isTouch = useMediaQuery("(pointer: coarse)")
  const hasPanel = isChoiceField(field) || isMonthField(field)

  useEffect(() => {
    const focused = input.current
    focused?.focus({ preventScroll: true })
    if (initialText === null) focused?.select()
  }, [initialText])

  const change = (next: string) => {
    setText(next)
    setProblem(null)
    onDraft(next)
  }
  const finish = (next: FieldValue, onward: NextCell) => {
    isDone.current = true
    onCommit(next, onward)
  }
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
    finish(input.value, next)
  }
  const isDateField = kindOf(field) === "date"
  const entered = hasPanel || isDateField ? read(text) : null
  const enteredValue = entered && "value" in entered && typeof entered.value === "string" ? entered.value : null
  /** Moves through the options of a choice, by months, or by days. */
  const step = (key: string): boolean => {
    if (isMonthField(field)) {
      const by = MONTH_STEPS[key]
      if (by !== undefined) change(enteredValue === null ? currentMonth() : shiftMonth(enteredValue, by))
      return by !== undefined
    }
    if (isDateField) {
      const [days, months] = DATE_STEPS[key] ?? []
      if (days !== undefined) change(enteredValue === null ? currentDate() : shiftDate(enteredValue, days, months))
      return days !== undefined
    }
    const by = key === "ArrowDown" ? 1 : key === "ArrowUp" ? -1 : 0
    if (!isChoiceField(field) || by === 0) return false
    const options = optionsOf(field)
    const at = options.findIndex((option) => option.value === markedOption(field, text))
    const next = options[Math.max(0, Math.min(options.length - 1, at + by))]
    change(next?.value == null ? "" : next.label)
    return true
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
    } else if (!event.altKey && !event.ctrlKey && !event.metaKey && step(event.key)) event.preventDefault()
  }
  const list = `${id}-list`
  const marked = isChoiceField(field) ? markedOption(field, text) : undefined
  const combobox = isChoiceField(field) && {
    role: "combobox",
    "aria-expanded": true,
    "aria-controls": list,
    "aria-autocomplete": "list" as const,
    "aria-activedescendant":
      marked === undefined
        ? undefined
        : optionId(
            list,
            optionsOf(field).findIndex(({ value }) => value === marked),
          ),
  }
  return (
    <span className="editor">
      <input
        ref={input}
        aria-label={label}
        aria-invalid={problem !== null}
        aria-describedby={problem ? id : undefined}
        className={isNumeric(field) ? "number" : undefined}
        inputMode={hasPanel && isTouch ? "none" : isNumeric(field) ? "decimal" : "text"}
        list={suggestions ?? undefined}
        value={text}
        autoComplete="off"
        {...combobox}
        onChange={(event) => change(event.target.value)}
        onKeyDown={onKeyDown}
        onBlur={() => commit("stay")}
      />
      {isChoiceField(field) && <ChoiceList field={field} id={list} marked={marked} onPick={(picked) => finish(picked, "cell")} />}
      {isMonthField(field) && (
        <MonthPicker
          label={`Months for ${fieldLabel(field).toLowerCase()}`}
          month={enteredValue}
          onPick={(picked) => finish(picked, "cell")}
        />
      )}
      {problem && (
        <span role="alert" id={id} className="editor-problem">
          {problem}
        </span>
      )}
    </span>
  )
}

/** The option that a typed text means: `null` for no value, `undefined` if the text means none. */
const markedOption = (field: ChoiceField, text: string): string | null | undefined =>
  text.trim() === "" ? null : matchingChoices(field, text)[0]?.value
