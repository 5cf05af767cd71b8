import { type FormEvent, useContext, useId, useRef, useState } from "react"
import type { NewPosition } from "../plan/edit"
import {
  type ColumnKey,
  choicesOf,
  FIELDS,
  type Field,
  fieldLabel,
  fieldValues,
  isAmountField,
  isChoiceField,
  isGroupField,
  isMonthField,
  isNumeric,
  isOwnColumn,
  isRequiredField,
  keyOf,
  kindOf,
} from "../plan/fields"
import { unitLabel } from "../plan/format"
import { parseInput } from "../plan/input"
import type { FieldValue, Settings } from "../plan/schema"
import { useColumns } from "./columns-context"
import { FormDraftsContext, useTypedBefore } from "./form-drafts"

interface Props {
  settings: Settings
  onAdd: (position: NewPosition) => void
  onClose: () => void
}

function placeholderOf(field: Field): string | undefined {
  if (isAmountField(field)) return "Unknown"
  if (isMonthField(field)) return "2027-06"
  return kindOf(field) === "date" ? "2027-06-15" : undefined
}

/** Form for new positions. Stays open after adding one. */
export function AddForm({ settings, onAdd, onClose }: Props) {
  const [problems, setProblems] = useState<ReadonlyMap<string, string>>(new Map())
  const form = useRef<HTMLFormElement>(null)
  const id = useId()
  const fields = useColumns().fields.filter((field) => kindOf(field) !== "unknown")
  const drafts = useContext(FormDraftsContext)
  const before = useTypedBefore<Record<string, string>>("add") ?? {}
  const control = (key: string) => form.current?.querySelector<HTMLElement>(`[name="${CSS.escape(key)}"]`)

  /** Keeps what is typed over a reload. */
  const keep = (event: FormEvent<HTMLFormElement>) => {
    const typed = [...new FormData(event.currentTarget)].filter(([, value]) => value !== "")
    if (typed.length > 0) drafts.save("add", { opened: null, typed: Object.fromEntries(typed) })
    else drafts.clear("add")
  }
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const typed = new FormData(event.currentTarget)
    const values = new Map<ColumnKey, FieldValue>()
    const found = new Map<string, string>()
    for (const field of fields) {
      const read = parseInput(field, String(typed.get(keyOf(field)) ?? ""), settings)
      if ("problem" in read) found.set(keyOf(field), read.problem)
      else values.set(keyOf(field), read.value)
    }
    setProblems(found)
    const [first] = found.keys()
    if (first !== undefined) return control(first)?.focus()
    const own = fields.filter(isOwnColumn).map(({ key }) => [key, values.get(key) ?? null] as const)
    const position = fieldValues((key) => values.get(key) ?? null)
    onAdd(own.length > 0 ? { ...position, own: Object.fromEntries(own) } : position)
    drafts.clear("add")
    for (const input of form.current?.querySelectorAll<HTMLInputElement | HTMLSelectElement>("input, select") ?? []) input.value = ""
    control(FIELDS[0] ?? "")?.focus()
  }

  return (
    <form
      ref={form}
      className="card add-form"
      aria-label="New position"
      noValidate
      onSubmit={submit}
      onInput={keep}
      onKeyDown={(event) => {
        if (event.key === "Escape") onClose()
      }}
    >
      {fields.map((field) => {
        const key = keyOf(field)
        const problem = problems.get(key)
        return (
          <div key={key} className={isOwnColumn(field) ? "field" : `field field-${key}`}>
            <label htmlFor={`${id}-${key}`}>
              {fieldLabel(field)}
              {isAmountField(field) && <span className="unit"> {unitLabel(settings.currency, settings.unit)}</span>}
            </label>
            {isChoiceField(field) ? (
              <select id={`${id}-${key}`} name={key} defaultValue={before[key] ?? ""}>
                <option value="">Not set</option>
                {choicesOf(field).map(({ value, label }) => (
                  <option key={value} value={value}>
                    {label}
                  </option>
                ))}
              </select>
            ) : (
              <input
                id={`${id}-${key}`}
                name={key}
                defaultValue={before[key] ?? ""}
                // biome-ignore lint/a11y/noAutofocus: the user opened the form to type
                autoFocus={key === FIELDS[0]}
                autoComplete="off"
                required={isRequiredField(field)}
                placeholder={placeholderOf(field)}
                inputMode={isNumeric(field) ? "decimal" : "text"}
                list={isGroupField(field) ? `all-${key}` : undefined}
                aria-invalid={problem !== undefined}
                aria-describedby={problem === undefined ? undefined : `${id}-${key}-problem`}
              />
            )}
            {problem !== undefined && (
              <p id={`${id}-${key}-problem`} className="problem">
                {problem}
              </p>
            )}
          </div>
        )
      })}
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
