import { formatMoney, formatValue, unitLabel } from "../plan/format"
import type { Settings } from "../plan/schema"
import type { Findings, ImportOptions, ImportReview as Review } from "../plan/table-import/review"
import { useColumns } from "./columns-context"
import { PositionsTable } from "./PositionsTable"

interface Props {
  review: Review
  settings: Settings
  options: ImportOptions
  /** The unit of the amounts is not chosen yet, so that sums mean nothing. */
  hasUnit: boolean
  onOption: (part: Partial<ImportOptions>) => void
}

const MAX_PREVIEW_ROWS = 100
const count = (number: number, one: string, many: string) => `${number.toLocaleString()} ${number === 1 ? one : many}`
const positions = (number: number) => count(number, "position", "positions")

/** What an import would change: counts, sums, remarks and the first rows. */
export function ImportReview({ review, settings, options, hasUnit, onOption }: Props) {
  const { skipped, refused, outliers, duplicatesInPlan, duplicatesInTable, missing, updates, additions } = review
  const columns = useColumns()
  const unit = unitLabel(settings.currency, settings.unit)
  return (
    <>
      <Remarks findings={skipped} title={`${count(skipped.count, "line", "lines")} skipped`} line={(text) => ` ${text}.`} />
      <Remarks findings={refused} title={`${count(refused.count, "line", "lines")} cannot be imported`} line={(text) => `: ${text}`} />
      {review.problem === null && (
        <>
          <Counts review={review} />
          {hasUnit && <Sums review={review} settings={settings} />}
          {hasUnit && (
            <Remarks findings={outliers} title={count(outliers.count, "unusual budget", "unusual budgets")} line={(text) => `: ${text}.`} />
          )}
          <Remarks
            findings={duplicatesInTable}
            title={`${count(duplicatesInTable.count, "line repeats", "lines repeat")} another line`}
            line={(text) => `: ${text}.`}
          />
          {duplicatesInPlan.count > 0 && (
            <>
              <Remarks
                findings={duplicatesInPlan}
                title={`${count(duplicatesInPlan.count, "line equals a position", "lines equal positions")} of the plan`}
                line={(text) => `: ${text}.`}
              />
              <label className="check">
                <input
                  type="checkbox"
                  checked={options.skipsDuplicates}
                  onChange={(event) => onOption({ skipsDuplicates: event.target.checked })}
                />
                Leave out lines that equal a position of the plan
              </label>
            </>
          )}
          {missing.count > 0 && <Missing review={review} options={options} onOption={onOption} />}
          {updates.length > 0 && <Updates updates={updates} total={review.changed} />}
          {additions.length > 0 && hasUnit && (
            <>
              <PositionsTable rows={additions} fields={columns.fields} maxRows={MAX_PREVIEW_ROWS} label="Preview" unit={unit} />
              {review.added > additions.length && <p className="fine">and {positions(review.added - additions.length)} more</p>}
            </>
          )}
        </>
      )}
    </>
  )
}

function Counts({ review }: { review: Review }) {
  const { added, changed, unchanged, changedCells, clearedCells, unknownIds, deleted } = review
  const hasChanges = added + changed + deleted > 0
  if (!hasChanges)
    return (
      <p role="status" className="import-totals">
        {unchanged > 0
          ? `Nothing changes: ${unchanged === 1 ? "the position equals" : `all ${positions(unchanged)} equal`} the plan.`
          : "Nothing can be imported."}
      </p>
    )
  return (
    <dl className="import-counts">
      <div>
        <dt>New</dt>
        <dd>{added.toLocaleString()}</dd>
      </div>
      <div>
        <dt>Changed</dt>
        <dd>
          {changed.toLocaleString()}
          {changed > 0 && (
            <span className="fine">
              {" "}
              {count(changedCells, "cell", "cells")}
              {clearedCells > 0 && `, ${clearedCells.toLocaleString()} cleared`}
            </span>
          )}
        </dd>
      </div>
      <div>
        <dt>Unchanged</dt>
        <dd>{unchanged.toLocaleString()}</dd>
      </div>
      {deleted > 0 && (
        <div>
          <dt>Deleted</dt>
          <dd>{deleted.toLocaleString()}</dd>
        </div>
      )}
      {unknownIds > 0 && (
        <p className="fine">
          {count(unknownIds, "new position has an id", "new positions have ids")} that the plan does not have: deleted since, or of another
          plan.
        </p>
      )}
    </dl>
  )
}

/** Effect of the import on the budget of the plan. */
function Sums({ review, settings }: { review: Review; settings: Settings }) {
  const { currency, unit, totalBudget } = settings
  const show = (budget: number) => formatMoney(budget, currency, unit)
  const { added, changed, deleted, sumBefore, sumAfter, unknownBudgets } = review
  if (added + changed + deleted === 0) return null
  const total = totalBudget === null ? "" : ` of ${show(totalBudget)}`
  const isAddition = changed === 0 && deleted === 0
  return (
    <p role="status" className="import-totals">
      {isAddition ? (
        <>
          {added === 1 ? "This position adds" : "These positions add"} <strong>{show(review.sumAdded)}</strong>; the plan will use{" "}
          <strong>{show(sumAfter)}</strong>
          {total}.
        </>
      ) : (
        <>
          The budgets of the plan change from <strong>{show(sumBefore)}</strong> to <strong>{show(sumAfter)}</strong>
          {total}.
        </>
      )}
      {unknownBudgets > 0 && ` ${count(unknownBudgets, "new position has", "new positions have")} no budget.`}
    </p>
  )
}

function Missing({ review, options, onOption }: Pick<Props, "review" | "options" | "onOption">) {
  const { count: total, names } = review.missing
  return (
    <>
      <details className="import-missing">
        <summary>
          {count(total, "position of the plan is", "positions of the plan are")} not in the table, and{" "}
          {options.deletesMissing ? (total === 1 ? "is deleted" : "are deleted") : total === 1 ? "stays" : "stay"}
        </summary>
        <p>
          {names.join(", ")}
          {total > names.length && ` and ${(total - names.length).toLocaleString()} more`}
        </p>
      </details>
      <label className="check">
        <input type="checkbox" checked={options.deletesMissing} onChange={(event) => onOption({ deletesMissing: event.target.checked })} />
        Delete positions that are not in the table
      </label>
    </>
  )
}

function Updates({ updates, total }: { updates: Review["updates"]; total: number }) {
  const columns = useColumns()
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrollable region must be reachable by keyboard
    <section className="positions-table" tabIndex={0} aria-label="Changed positions">
      <table>
        <thead>
          <tr>
            <th scope="col">Position</th>
            <th scope="col">Field</th>
            <th scope="col">In the plan</th>
            <th scope="col">In the table</th>
          </tr>
        </thead>
        <tbody>
          {updates.flatMap(({ number, name, cells }) =>
            cells.map(({ field, before, after }) => (
              <tr key={`${number}/${field}`}>
                <td>{name}</td>
                <td>{columns.label(field)}</td>
                <td>{formatValue(before)}</td>
                <td>{formatValue(after)}</td>
              </tr>
            )),
          )}
        </tbody>
      </table>
      {total > updates.length && <p className="fine">and {positions(total - updates.length)} more</p>}
    </section>
  )
}

function Remarks({ findings, title, line }: { findings: Findings; title: string; line: (text: string) => string }) {
  const { count: total, first } = findings
  if (total === 0) return null
  return (
    <details className="bad" open={total <= 5}>
      <summary>{title}</summary>
      <ul>
        {first.map(({ number, text }) => (
          <li key={number}>
            Line {number}
            {line(text)}
          </li>
        ))}
        {total > first.length && <li key="others">and {(total - first.length).toLocaleString()} more</li>}
      </ul>
    </details>
  )
}
