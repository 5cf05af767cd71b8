import { type FormEvent, useContext, useId, useState } from "react"
import { isBlankAmount, parseAmount } from "../plan/amount"
import type { SettingsAtHeads } from "../plan/edit"
import { formatMonth, toEditText, UNIT_CHOICES, unitName } from "../plan/format"
import { parseMonth } from "../plan/month"
import { MAX_TEXT, type Settings } from "../plan/schema"
import { countCharacters, isBlank } from "../plan/text"
import { defaultYearStart } from "../plan/year"
import { Dialog } from "./Dialog"
import { DialogFoot } from "./DialogFoot"
import { FormDraftsContext, useTypedBefore } from "./form-drafts"
import { currentMonth } from "./hooks"
import { changedTexts, type SettingTexts, settingTexts } from "./settings-form"

interface Props {
  title: string
  settings: Settings
  /** The same settings, with the heads at which the dialog was opened; absent for a new plan. */
  opened?: SettingsAtHeads
  button: string
  /** Whether the name can be changed. */
  hasName?: boolean
  onSave: (settings: Settings) => void
  onClose: () => void
}

const CURRENCIES = ["INR", "USD", "EUR", "GBP", "JPY", "CHF", "AUD", "CAD", "SGD", "AED"]

/** Settings of a plan. */
export function PlanDialog({ title, settings, opened, button, hasName = true, onSave, onClose }: Props) {
  const [problem, setProblem] = useState<string | null>(null)
  const drafts = useContext(FormDraftsContext)
  const typed = useTypedBefore<Partial<SettingTexts>>("settings")
  const [initial] = useState<SettingTexts>(() => ({ ...settingTexts(settings), ...typed }))
  const [unit, setUnit] = useState(Number(initial.unit))
  const [currency, setCurrency] = useState(initial.currency)
  const yearStart = defaultYearStart(currency.trim().toUpperCase(), currentMonth())
  const id = useId()
  /** Keeps only what the user has changed, over a reload. */
  const keep = (event: FormEvent<HTMLFormElement>) => {
    const changed = opened ? changedTexts(settings, new FormData(event.currentTarget)) : null
    if (changed) drafts.save("settings", { opened, typed: changed })
    else drafts.clear("settings")
  }
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const form = new FormData(event.currentTarget)
    const text = (key: string) => String(form.get(key) ?? "").trim()
    const name = hasName ? text("name") : settings.name
    const currency = text("currency").toUpperCase()
    const isSame = text("total") === toEditText(settings.totalBudget)
    if (hasName && isBlank(name)) return setProblem("Enter a name.")
    if (hasName && countCharacters(name) > MAX_TEXT) return setProblem(`A name can have at most ${MAX_TEXT.toLocaleString()} characters.`)
    if (!/^[A-Z]{3}$/.test(currency)) return setProblem("Enter a three-letter currency code, such as INR.")
    const total = isSame || isBlankAmount(text("total")) ? null : parseAmount(text("total"), { currency, unit })
    if (total && "problem" in total) return setProblem(`Total budget: ${total.problem}`)
    const yearStart = parseMonth(text("yearStart"))
    if ("problem" in yearStart) return setProblem(`First month of the year: ${yearStart.problem}`)
    onSave({ yearStart: yearStart.value, name, currency, unit, totalBudget: isSame ? settings.totalBudget : (total?.value ?? null) })
  }
  const units = UNIT_CHOICES.some((choice) => choice.unit === settings.unit)
    ? UNIT_CHOICES
    : [...UNIT_CHOICES, { unit: settings.unit, name: unitName(settings.unit) }]
  return (
    <Dialog title={title} onClose={onClose}>
      <form className="stack" onSubmit={submit} onInput={keep} noValidate>
        {hasName && (
          <>
            <label htmlFor={`${id}-name`}>Name</label>
            <input id={`${id}-name`} name="name" defaultValue={initial.name} required />
          </>
        )}
        <label htmlFor={`${id}-total`}>Total budget, in the unit below</label>
        <input id={`${id}-total`} name="total" inputMode="decimal" defaultValue={initial.total} />
        <div className="pair">
          <div className="stack">
            <label htmlFor={`${id}-currency`}>Currency</label>
            <input
              id={`${id}-currency`}
              name="currency"
              list={`${id}-currencies`}
              defaultValue={currency}
              onChange={(event) => setCurrency(event.target.value)}
              autoCapitalize="characters"
            />
            <datalist id={`${id}-currencies`}>
              {CURRENCIES.map((currency) => (
                <option key={currency} value={currency} />
              ))}
            </datalist>
          </div>
          <div className="stack">
            <label htmlFor={`${id}-unit`}>Unit</label>
            <select id={`${id}-unit`} name="unit" value={unit} onChange={(event) => setUnit(Number(event.target.value))}>
              {units.map((choice) => (
                <option key={choice.unit} value={choice.unit}>
                  {choice.name} ({choice.unit.toLocaleString()})
                </option>
              ))}
            </select>
          </div>
        </div>
        <label htmlFor={`${id}-yearStart`}>First month of the year</label>
        <input
          id={`${id}-yearStart`}
          name="yearStart"
          defaultValue={initial.yearStart}
          placeholder={yearStart}
          aria-describedby={`${id}-yearStart-help`}
          autoComplete="off"
        />
        <p id={`${id}-yearStart-help`} className="fine">
          Costs by month are shown for twelve months from here, such as 2027-04. Without it, the year starts in {formatMonth(yearStart)}.
        </p>
        {unit !== settings.unit && settings.name !== "" && (
          <p className="fine">
            Amounts are not converted: 5 {unitName(settings.unit) || "single"} becomes 5 {unitName(unit) || "single"}.
          </p>
        )}
        <p role="alert" className="problem">
          {problem}
        </p>
        <DialogFoot onCancel={onClose} confirm={button} />
      </form>
    </Dialog>
  )
}
