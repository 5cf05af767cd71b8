import { type FormEvent, useId, useRef, useState } from "react"
import type { NewPosition } from "../plan/edit"
import {
  choicesOf,
  FIELDS,
  type FieldKey,
  fieldLabel,
  isAmountField,
  isChoiceField,
  isGroupField,
  isMonthField,
  isRequiredField,
} from "../plan/fields"
import { unitLabel } from "../plan/format"
import { parseInput } from "../plan/input"
import type { Settings } from "../plan/schema"

interface Props {
  settings: Settings
  onAdd: (position: NewPosition) => void
  onClose: () => void
}

/** Form for new positions. Stays open after adding one. */
export function AddForm({ settings, onAdd, onClose }: Props) {
  const [problems, setProblems] = useState<Partial<Record<FieldKey, string>>>({})
  const form = useRef<HTMLFormElement>(null)
  const id = useId()

  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const typed = new FormData(event.currentTarget)
    const inputs = FIELDS.map((field) => [field, parseInput(field, String(typed.get(field) ?? ""), settings)] as const)
    const found = Object.fromEntries(inputs.flatMap(([field, read]) => ("problem" in read ? [[field, read.problem]] : [])))
    setProblems(found)
    const first = FIELDS.find((field) => found[field])
    if (first) return form.current?.querySelector<HTMLInputElement>(`[name="${first}"]`)?.focus()
    const values = Object.fromEntries(inputs.flatMap(([field, read]) => ("value" in read ? [[field, read.value]] : [])))
    onAdd(values as unknown as NewPosition)
    form.current?.reset()
    form.current?.querySelector<HTMLInputElement>(`[name=${FIELDS[0]}]`)?.focus()
  }

  return (
    <form
      ref={form}
      className="card add-form"
      aria-label="New position"
      noValidate
      onSubmit={submit}
      onKeyDown={(event) => {
        if (event.key === "Escape") onClose()
      }}
    >
      {FIELDS.map((field) => (
        <div key={field} className={`field field-${field}`}>
          <label htmlFor={`${id}-${field}`}>
            {fieldLabel(field)}
            {isAmountField(field) && <span className="unit"> {unitLabel(settings.currency, settings.unit)}</span>}
          </label>
          {isChoiceField(field) ? (
            <select id={`${id}-${field}`} name={field} defaultValue="">
              <option value="">Not set</option>
              {choicesOf(field).map(({ value, label }) => (
                <option key={value} value={value}>
                  {label}
                </option>
              ))}
            </select>
          ) : (
            <input
              id={`${id}-${field}`}
              name={field}
              // biome-ignore lint/a11y/noAutofocus: the user opened the form to type
              autoFocus={field === FIELDS[0]}
              autoComplete="off"
              required={isRequiredField(field)}
              placeholder={isAmountField(field) ? "Unknown" : isMonthField(field) ? "2027-06" : undefined}
              inputMode={isAmountField(field) ? "decimal" : "text"}
              list={isGroupField(field) ? `all-${field}` : undefined}
              aria-invalid={problems[field] !== undefined}
              aria-describedby={problems[field] ? `${id}-${field}-problem` : undefined}
            />
          )}
          {problems[field] && (
            <p id={`${id}-${field}-problem`} className="problem">
              {problems[field]}
            </p>
          )}
        </div>
      ))}
      <div className="add-actions">
        <button type="submit" className="primary">
          Add
        </button>
        <button type="button" onClick={onClose}>
          Close
        </button>
      </div>
    </form>
  )
}
