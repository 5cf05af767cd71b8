import { fieldLabel, fieldNoun, GROUP_FIELDS, type GroupKey } from "../../plan/fields"
import { formatDateTime, formatMoney, formatSum, unitLabel } from "../../plan/format"
import { countUnknownBudgets, isFiltering, roundSum, sumBudgets } from "../../plan/query"
import { countConflicts, describeFilter, type GroupShare, groupShares } from "../../plan/report"
import { countChanges } from "../SyncBadge"
import type { PrintedPlan } from "./PrintView"

/** The first page: what is printed, the figures of the plan, and the groups of the printed positions. */
export function PrintSummary({ printed }: { printed: PrintedPlan }) {
  const { positions, rows, settings, settingConflicts, filter, at } = printed
  const { currency, unit, totalBudget } = settings
  const money = (budget: number) => formatMoney(budget, currency, unit)
  const used = sumBudgets(positions)
  const left = totalBudget === null ? null : roundSum(totalBudget - used)
  const unknown = countUnknownBudgets(positions)
  const conflicts = countConflicts(positions, settingConflicts) + printed.placeConflicts
  const isFiltered = isFiltering(filter)
  return (
    <section className="print-summary">
      <h1>{settings.name || "Untitled plan"}</h1>
      <p>
        Printed {formatDateTime(at)}. Amounts in {unitLabel(currency, unit)} ({currency}
        {unit !== 1 && ` × ${unit.toLocaleString()}`}).
      </p>
      {printed.isArchived && <p>This plan is archived.</p>}
      {describeSync(printed) && <p>{describeSync(printed)}</p>}
      <dl className="print-figures">
        <Figure label="Total budget" value={totalBudget === null ? "not set" : money(totalBudget)} />
        <Figure label="Used" value={`${money(used)}${totalBudget ? ` (${percent(used / totalBudget)})` : ""}`} />
        {left !== null && <Figure label={left < 0 ? "Over budget" : "Left"} value={money(Math.abs(left))} />}
        <Figure label="Positions" value={positions.length.toLocaleString()} />
        {unknown > 0 && <Figure label="Unknown budgets, not counted" value={unknown.toLocaleString()} />}
        <Figure label="Open conflicts" value={conflicts === 0 ? "none" : conflicts.toLocaleString()} />
      </dl>
      {isFiltered && (
        <p className="print-filter">
          <strong>Filter: {describeFilter(filter, positions, printed.columns).join("; ")}.</strong> The figures above are of the whole plan.
          The groups below and the list have the matching positions only: {rows.length.toLocaleString()} of{" "}
          {positions.length.toLocaleString()}, {money(sumBudgets(rows))}.
        </p>
      )}
      {GROUP_FIELDS.map((field) => (
        <GroupTable key={field} field={field} groups={groupShares(rows, field)} unit={unitLabel(currency, unit)} />
      ))}
    </section>
  )
}

function describeSync({ sync }: PrintedPlan): string {
  const waiting = sync.pending === 0 ? "" : `Not synced with the server: ${countChanges(sync.pending)}.`
  if (sync.kind === "offline") return `Printed offline: changes of others may be missing. ${waiting}`.trim()
  return waiting
}

const percent = (share: number): string => `${Math.round(share * 100)} %`

function Figure({ label, value }: { label: string; value: string }) {
  return (
    <div>
      <dt>{label}</dt>
      <dd>{value}</dd>
    </div>
  )
}

const MAX_GROUPS = 15

/** The groups of a field with sum, share and number of positions. A field that no position has is left out. */
function GroupTable({ field, groups, unit }: { field: GroupKey; groups: readonly GroupShare[]; unit: string }) {
  if (groups.every(({ key }) => key === "")) return null
  const shown = groups.slice(0, groups.length > MAX_GROUPS ? MAX_GROUPS - 1 : MAX_GROUPS)
  const rest = groups.slice(shown.length)
  const largest = Math.max(...groups.map(({ share }) => share), 0) || 1
  const sumOf = (key: "budget" | "share" | "count") => rest.reduce((sum, group) => sum + group[key], 0)
  return (
    <table className="print-groups">
      <caption>By {fieldNoun(field)}</caption>
      <thead>
        <tr>
          <th scope="col">{fieldLabel(field)}</th>
          <th scope="col" className="print-bar-column">
            <span className="hidden">Bar</span>
          </th>
          <th scope="col" className="number">
            Budget {unit}
          </th>
          <th scope="col" className="number">
            Share
          </th>
          <th scope="col" className="number">
            Positions
          </th>
        </tr>
      </thead>
      <tbody>
        {shown.map(({ key, name, budget, share, count }) => (
          <tr key={key}>
            <th scope="row">{name || "None"}</th>
            <td>
              <span className="print-bar" style={{ inlineSize: `${(share / largest) * 100}%` }} />
            </td>
            <td className="number">{formatSum(budget)}</td>
            <td className="number">{percent(share)}</td>
            <td className="number">{count.toLocaleString()}</td>
          </tr>
        ))}
        {rest.length > 0 && (
          <tr>
            <th scope="row">{rest.length.toLocaleString()} others</th>
            <td />
            <td className="number">{formatSum(roundSum(sumOf("budget")))}</td>
            <td className="number">{percent(sumOf("share"))}</td>
            <td className="number">{sumOf("count").toLocaleString()}</td>
          </tr>
        )}
      </tbody>
    </table>
  )
}
