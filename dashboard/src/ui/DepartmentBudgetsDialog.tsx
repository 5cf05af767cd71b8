import { type FormEvent, useId, useState } from "react"
import { type DepartmentBudgetChange, type DepartmentBudgetsAtHeads, departmentUses } from "../plan/department-budgets"
import { formatMoney, formatSum, unitLabel } from "../plan/format"
import { parseInput } from "../plan/input"
import { roundSum } from "../plan/query"
import { MAX_TEXT, type Position, type Settings } from "../plan/schema"
import { countCharacters, foldText, isBlank } from "../plan/text"
import { Dialog } from "./Dialog"
import { DialogFoot } from "./DialogFoot"
import { type Line, restoreLines, type TypedBudgets, toLines } from "./department-lines"
import { useFormDraft, useTypedBefore } from "./form-drafts"

interface Props {
  positions: readonly Position[]
  settings: Settings
  /** The budgets when the dialog was opened. */
  before: DepartmentBudgetsAtHeads
  onSave: (changes: readonly DepartmentBudgetChange[]) => void
  onClose: () => void
}

/** What the user has typed: the changed budgets by department, and another department. */
interface BudgetsDraft {
  texts: TypedBudgets
  added: { name: string; text: string }
}

/** Sets, changes and removes the budgets of departments. */
export function DepartmentBudgetsDialog({ positions, settings, before, onSave, onClose }: Props) {
  const typed = useTypedBefore<BudgetsDraft>("budgets")
  const [restored] = useState(() => restoreLines(toLines(departmentUses(positions, before.budgets)), typed?.texts ?? []))
  const { lines } = restored
  const [texts, setTexts] = useState(restored.texts)
  const [added, setAdded] = useState(typed?.added ?? { name: "", text: "" })
  const changed = lines.flatMap(({ name, initial }): [string, string][] => {
    const text = texts.get(name) ?? ""
    return text === initial ? [] : [[name, text]]
  })
  const hasTyped = changed.length > 0 || added.name !== "" || added.text !== ""
  useFormDraft("budgets", hasTyped ? ({ texts: changed, added } satisfies BudgetsDraft) : null, before)
  const [problems, setProblems] = useState<ReadonlyMap<string, string>>(new Map())
  const id = useId()
  const { currency, unit, totalBudget } = settings
  const read = (text: string) => parseInput("budget", text, settings)
  const amountOf = (text: string): number | null => {
    const parsed = read(text)
    return "value" in parsed && typeof parsed.value === "number" ? parsed.value : null
  }
  const textOf = ({ name }: Line) => texts.get(name) ?? ""
  const allowed = roundSum([...lines.map(textOf), added.text].reduce((sum, text) => sum + (amountOf(text) ?? 0), 0))

  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const found = new Map<string, string>()
    const changes: DepartmentBudgetChange[] = []
    const check = (name: string, text: string) => {
      const parsed = read(text)
      if ("problem" in parsed) found.set(name, parsed.problem)
      else changes.push({ name, amount: typeof parsed.value === "number" ? parsed.value : null })
    }
    for (const line of lines) if (textOf(line) !== line.initial) check(line.name, textOf(line))
    if (!isBlank(added.name) || !isBlank(added.text)) {
      const name = added.name.trim()
      if (isBlank(name)) found.set("", "Enter the name of the department.")
      else if (countCharacters(name) > MAX_TEXT) found.set("", `Use at most ${MAX_TEXT.toLocaleString()} characters.`)
      else if (lines.some((line) => foldText(line.name) === foldText(name))) found.set("", `“${name}” is listed above.`)
      else if (isBlank(added.text)) found.set("", "Enter a budget.")
      else {
        check(name, added.text)
        const problem = found.get(name)
        if (problem) found.set("", problem)
      }
    }
    setProblems(found)
    if (found.size === 0) onSave(changes)
    else event.currentTarget.querySelector<HTMLInputElement>(`[data-key="${CSS.escape([...found.keys()][0] ?? "")}"]`)?.focus()
  }
  const left = totalBudget === null ? null : roundSum(totalBudget - allowed)
  return (
    <Dialog title="Department budgets" onClose={onClose}>
      <form className="stack" onSubmit={submit} noValidate>
        <p className="fine">In {unitLabel(currency, unit) || "single units"}. An empty field removes a budget.</p>
        <ul className="budgets">
          {lines.map((line, at) => {
            const { name, use } = line
            const amount = amountOf(textOf(line))
            const rest = use && amount !== null ? roundSum(amount - use.used) : null
            const problem = problems.get(name)
            return (
              <li key={name}>
                <label htmlFor={`${id}-${at}`}>{name}</label>
                <input
                  id={`${id}-${at}`}
                  data-key={name}
                  className="number"
                  inputMode="decimal"
                  autoComplete="off"
                  placeholder="No budget"
                  value={textOf(line)}
                  aria-invalid={problem !== undefined}
                  aria-describedby={`${id}-${at}-use`}
                  onChange={(event) => setTexts((known) => new Map(known).set(name, event.target.value))}
                />
                <span id={`${id}-${at}-use`} className="fine">
                  {use ? `${formatSum(use.used)} used` : "Another spelling; not counted"}
                  {rest !== null &&
                    (rest < 0 ? <span className="over">, {formatSum(-rest)} over budget</span> : `, ${formatSum(rest)} left`)}
                  {problem && <span className="problem"> {problem}</span>}
                </span>
              </li>
            )
          })}
          <li>
            <input
              data-key=""
              aria-label="Another department"
              placeholder="Another department"
              autoComplete="off"
              value={added.name}
              aria-invalid={problems.has("")}
              aria-describedby={`${id}-added`}
              onChange={(event) => setAdded({ ...added, name: event.target.value })}
            />
            <input
              aria-label="Budget of the other department"
              className="number"
              inputMode="decimal"
              placeholder="No budget"
              autoComplete="off"
              value={added.text}
              onChange={(event) => setAdded({ ...added, text: event.target.value })}
            />
            <span id={`${id}-added`} className="fine">
              {problems.has("") ? <span className="problem">{problems.get("")}</span> : "A department without positions"}
            </span>
          </li>
        </ul>
        <p role="status">
          {formatMoney(allowed, currency, unit)} allotted to departments
          {totalBudget !== null && left !== null && (
            <>
              {" "}
              of {formatMoney(totalBudget, currency, unit)}
              {left < 0 ? (
                <span className="over">, {formatMoney(-left, currency, unit)} too much</span>
              ) : (
                `, ${formatMoney(left, currency, unit)} not allotted`
              )}
            </>
          )}
        </p>
        {problems.size > 0 && (
          <p role="alert" className="problem">
            {problems.size === 1 ? "A budget cannot be saved." : `${problems.size} budgets cannot be saved.`}
          </p>
        )}
        <DialogFoot onCancel={onClose} confirm="Save" />
      </form>
    </Dialog>
  )
}
