import { type FormEvent, useEffect, useId, useRef, useState } from "react"
import { type BulkEdit, bulkEdit, sumAfter } from "../grid/bulk-edit"
import type { CellChanges } from "../grid/cell-changes"
import { countPositions } from "../grid/range"
import {
  choicesOf,
  type Field,
  type FieldKey,
  fieldNoun,
  isAmountField,
  isChoiceField,
  isGroupField,
  isMonthField,
  isNumeric,
  keyOf,
  kindOf,
} from "../plan/fields"
import { formatAmount, formatFieldValue, formatSum, unitLabel } from "../plan/format"
import { parseInput } from "../plan/input"
import { parseMonthShift } from "../plan/month-shift"
import { describeUnknownBudgets, sumBudgets } from "../plan/query"
import { DEFAULT_STEP, EXACT_STEP, parseRaise, ROUNDING_STEPS } from "../plan/raise"
import { type Position, type Settings, shownValue } from "../plan/schema"
import { useColumns } from "./columns-context"
import { Dialog } from "./Dialog"
import { DialogFoot } from "./DialogFoot"
import { useFormDraft, useTypedBefore } from "./form-drafts"

interface Props {
  /** The selected positions, as they are now. */
  positions: readonly Position[]
  /** All positions of the plan. */
  all: readonly Position[]
  settings: Settings
  onApply: (changes: CellChanges) => void
  onClose: () => void
}

/** What the dialog does: sets a field, raises budgets by a percentage or an amount, or shifts months. */
type Mode = `set ${string}` | "percent" | "amount" | "months"

/** What the user has chosen and typed, and for which positions. */
export interface BulkDraft {
  ids: readonly string[]
  mode: Mode
  text: string
  step: number
}

const BUDGET: FieldKey = "budget"
const SHOWN_CHANGES = 4
/** Value of the option that chooses nothing. */
const CHOOSE = "choose"
function placeholderOf(field: Field): string {
  if (isAmountField(field)) return "Unknown"
  if (isMonthField(field)) return "2027-06"
  return kindOf(field) === "date" ? "2027-06-15" : "Empty"
}

/** Sets a field of many positions, raises their budgets or shifts their months, with a preview of what changes. */
export function BulkEditDialog({ positions, all, settings, onApply, onClose }: Props) {
  const before = useTypedBefore<BulkDraft>("bulk")
  const [mode, setMode] = useState<Mode>(before?.mode ?? "set department")
  const [text, setText] = useState(before?.text ?? "")
  const [step, setStep] = useState(before?.step ?? DEFAULT_STEP)
  const [hasTyped, setTyped] = useState(before !== null)
  useFormDraft("bulk", hasTyped ? ({ ids: positions.map(({ id }) => id), mode, text, step } satisfies BulkDraft) : null)
  const first = useRef<HTMLSelectElement>(null)
  const id = useId()
  // A dialog focuses its first control when it opens.
  useEffect(() => first.current?.focus(), [])
  const unit = unitLabel(settings.currency, settings.unit)
  const fields = useColumns().fields.filter((other) => kindOf(other) !== "unknown")
  const field = fields.find((other) => mode === `set ${keyOf(other)}`) ?? BUDGET
  const isRaise = mode === "percent" || mode === "amount"
  const isSet = !isRaise && mode !== "months"

  const read = (): BulkEdit | { problem: string } => {
    if (isRaise) {
      const parsed = parseRaise(text, mode, settings)
      return "problem" in parsed ? parsed : { kind: "raise", field: BUDGET, raise: { by: mode, size: parsed.value, step } }
    }
    if (mode === "months") {
      const parsed = parseMonthShift(text)
      return "problem" in parsed ? parsed : { kind: "shift", months: parsed.value }
    }
    const parsed = parseInput(field, text, settings)
    return "problem" in parsed ? parsed : { kind: "set", field, value: parsed.value }
  }
  const edit = read()
  const problem = "problem" in edit ? edit.problem : null
  // An empty field clears values, but only after the user has typed.
  const changes = "problem" in edit || !hasTyped ? null : bulkEdit(positions, edit)
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    setTyped(true)
    if (changes && changes.cells.length > 0) onApply(changes)
  }
  const label =
    mode === "months"
      ? "Months; negative for earlier"
      : isRaise
        ? mode === "percent"
          ? "Percent; negative for a cut"
          : `Amount in ${unit}; negative for a cut`
        : "New value"
  return (
    <Dialog title={`Edit ${countPositions(positions.length)}`} onClose={onClose}>
      <form className="stack" onSubmit={submit} noValidate>
        <label htmlFor={`${id}-mode`}>Change</label>
        <select
          ref={first}
          id={`${id}-mode`}
          value={mode}
          onChange={(event) => {
            setMode(event.target.value as Mode)
            setText("")
            setTyped(false)
          }}
        >
          {fields.map((other) => (
            <option key={keyOf(other)} value={`set ${keyOf(other)}`}>
              Set {fieldNoun(other)}
            </option>
          ))}
          <option value="percent">Raise budgets by a percentage</option>
          <option value="amount">Raise budgets by an amount</option>
          <option value="months">Shift start and end by months</option>
        </select>
        <label htmlFor={`${id}-value`}>{label}</label>
        {isSet && isChoiceField(field) ? (
          <select
            id={`${id}-value`}
            value={hasTyped ? text : CHOOSE}
            onChange={(event) => {
              setText(event.target.value)
              setTyped(true)
            }}
          >
            {!hasTyped && <option value={CHOOSE}>Choose a value</option>}
            {choicesOf(field).map(({ value, label }) => (
              <option key={value} value={value}>
                {label}
              </option>
            ))}
            <option value="">Not set</option>
          </select>
        ) : (
          <input
            id={`${id}-value`}
            autoComplete="off"
            inputMode={isNumeric(field) && (isSet || mode === "amount") ? "decimal" : "text"}
            placeholder={isSet ? placeholderOf(field) : "5"}
            list={isSet && isGroupField(field) ? `all-${keyOf(field)}` : undefined}
            value={text}
            aria-invalid={hasTyped && problem !== null}
            aria-describedby={`${id}-preview`}
            onChange={(event) => {
              setText(event.target.value)
              setTyped(true)
            }}
          />
        )}
        {isRaise && (
          <>
            <label htmlFor={`${id}-step`}>Round results to</label>
            <select id={`${id}-step`} value={step} onChange={(event) => setStep(Number(event.target.value))}>
              {ROUNDING_STEPS.map((choice) => (
                <option key={choice} value={choice}>
                  {choice === EXACT_STEP ? `${formatAmount(choice)} (not rounded)` : `multiples of ${formatAmount(choice)}`}
                </option>
              ))}
            </select>
          </>
        )}
        <div id={`${id}-preview`} className="preview" role="status">
          {!hasTyped && <p className="fine">Enter a value to see what changes.</p>}
          {hasTyped && problem !== null && <p className="problem">{problem}</p>}
          {changes && (
            <Preview
              changes={changes}
              positions={positions}
              all={all}
              settings={settings}
              rounding={isRaise ? `Results are rounded to multiples of ${formatAmount(step)} ${unit}, halves up.` : ""}
            />
          )}
        </div>
        <DialogFoot
          onCancel={onClose}
          confirm={changes && changes.cells.length > 0 ? `Change ${countPositions(countIds(changes.cells))}` : "Change"}
          isDisabled={!changes || changes.cells.length === 0}
        />
      </form>
    </Dialog>
  )
}

const countIds = (cells: CellChanges["cells"]): number => new Set(cells.map(({ id }) => id)).size

interface PreviewProps {
  changes: CellChanges
  positions: readonly Position[]
  all: readonly Position[]
  settings: Settings
  /** How results are rounded. */
  rounding: string
}

function Preview({ changes, positions, all, settings, rounding }: PreviewProps) {
  const { cells, refusals } = changes
  const columns = useColumns()
  const unit = unitLabel(settings.currency, settings.unit)
  const byId = new Map(positions.map((position) => [position.id, position]))
  const unchanged = positions.length - countIds(cells) - refusals.length
  const isBudget = cells.some(({ field }) => field === BUDGET)
  const [before, after] = [sumBudgets(positions), sumAfter(positions, changes)]
  const allAfter = sumAfter(all, changes)
  const { totalBudget } = settings
  const isOver = totalBudget !== null && allAfter > totalBudget
  const unknown = describeUnknownBudgets(positions)
  return (
    <>
      {isBudget && (
        <dl className="sums">
          <div>
            <dt>Sum of these positions</dt>
            <dd>
              {formatSum(before)} <span aria-hidden>→</span>
              <span className="hidden">becomes</span> <strong>{formatSum(after)}</strong> {unit}
              {unknown && `, ${unknown} now`}
            </dd>
          </div>
          <div>
            <dt>Sum of the plan</dt>
            <dd className={isOver ? "over" : undefined}>
              {formatSum(sumBudgets(all))} <span aria-hidden>→</span>
              <span className="hidden">becomes</span> <strong>{formatSum(allAfter)}</strong> {unit}
              {totalBudget !== null && ` of ${formatSum(totalBudget)}`}
              {isOver && totalBudget !== null && `, ${formatSum(allAfter - totalBudget)} over budget`}
            </dd>
          </div>
        </dl>
      )}
      {rounding && <p className="fine">{rounding}</p>}
      {cells.length === 0 && <p>Nothing changes.</p>}
      <ul className="changes">
        {cells.slice(0, SHOWN_CHANGES).map(({ id, field, value }) => {
          const position = byId.get(id)
          return (
            <li key={id + field}>
              {columns.label(field)} of “{position?.designation}”:{" "}
              <del>{position && formatFieldValue(columns.known(field), shownValue(position, field))}</del> <span aria-hidden>→</span>
              <span className="hidden">becomes</span> <ins>{formatFieldValue(columns.known(field), value)}</ins>
            </li>
          )
        })}
        {cells.length > SHOWN_CHANGES && <li className="fine">and {(cells.length - SHOWN_CHANGES).toLocaleString()} more</li>}
      </ul>
      {unchanged > 0 && (
        <p className="fine">
          {countPositions(unchanged)} already {unchanged === 1 ? "has" : "have"} this value.
        </p>
      )}
      {refusals.length > 0 && (
        <div className="notice">
          <p>{countPositions(refusals.length)} will not be changed:</p>
          <ul>
            {refusals.slice(0, SHOWN_CHANGES).map(({ cell, reason }, at) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: refusals have no ids
              <li key={at}>
                {cell}: {reason}
              </li>
            ))}
            {refusals.length > SHOWN_CHANGES && <li>and {(refusals.length - SHOWN_CHANGES).toLocaleString()} more</li>}
          </ul>
        </div>
      )}
    </>
  )
}
