import { useId, useState } from "react"
import { type ComparedPosition, labelOf, nameOf, type RowChange, shownFields, showValue } from "../../plan/comparison"
import { useColumns } from "../columns-context"
import { ComparedFields } from "./ComparedFields"
import type { ComparisonSides } from "./sides"

interface Props {
  positions: readonly ComparedPosition[]
  sides: ComparisonSides
  /** Whose change of a position is named. */
  side?: "plan" | "scenario"
  ticked: ReadonlySet<string>
  /** Ticks positions for a merge; `null` if they cannot be chosen. */
  onTick: ((ids: readonly string[], isTicked: boolean) => void) | null
}

/** Number of positions that are shown at once. */
const PAGE = 100

const CHANGE_LABELS: Record<RowChange, string> = { added: "added", changed: "changed", deleted: "deleted" }

/** Changed positions, field by field. */
export function ComparedPositions({ positions, sides, side = "scenario", ticked, onTick }: Props) {
  const [shown, setShown] = useState(PAGE)
  if (positions.length === 0) return null
  const isAllTicked = positions.every(({ id }) => ticked.has(id))
  return (
    <section className="stack" aria-label={side === "scenario" ? "Changed positions" : "Positions changed in the plan"}>
      {side === "scenario" && <h3>Positions</h3>}
      {onTick && positions.length > 1 && (
        <label className="check">
          <input
            type="checkbox"
            checked={isAllTicked}
            onChange={({ target }) =>
              onTick(
                positions.map(({ id }) => id),
                target.checked,
              )
            }
          />
          Select all
        </label>
      )}
      <ul className="compare-positions">
        {positions.slice(0, shown).map((position) => (
          <ComparedRow
            key={position.id}
            position={position}
            sides={sides}
            side={side}
            isTicked={ticked.has(position.id)}
            onTick={onTick && ((isTicked) => onTick([position.id], isTicked))}
          />
        ))}
      </ul>
      {positions.length > shown && (
        <button type="button" onClick={() => setShown(shown + PAGE)}>
          Show more ({(positions.length - shown).toLocaleString()} left)
        </button>
      )}
    </section>
  )
}

interface RowProps {
  position: ComparedPosition
  sides: ComparisonSides
  side: "plan" | "scenario"
  isTicked: boolean
  onTick: ((isTicked: boolean) => void) | null
}

function ComparedRow({ position, sides, side, isTicked, onTick }: RowProps) {
  const id = useId()
  const columns = useColumns()
  const name = nameOf(position)
  const change = position[side]
  const fields = shownFields(position, columns)
  // Only one side has the position.
  const shownSide = change === "added" ? side : change === "deleted" ? "base" : null
  return (
    <li className="compare-position">
      <div className="check">
        {onTick && <input type="checkbox" id={id} checked={isTicked} onChange={({ target }) => onTick(target.checked)} />}
        {onTick ? <label htmlFor={id}>{name}</label> : <strong>{name}</strong>}
        {change && <span className="tag">{CHANGE_LABELS[change]}</span>}
        {position.conflict && <span className="tag doubtful">conflict</span>}
        {position.loss && <span className="tag doubtful">changes are lost</span>}
      </div>
      {position.loss && (
        <p className="fine">
          {position.plan === "deleted"
            ? "The plan has deleted this position. After a merge it stays deleted."
            : "The plan has changed this position. After a merge it is deleted."}
        </p>
      )}
      {fields.length === 0 ? null : shownSide !== null && !position.conflict && !position.loss ? (
        <p className="compare-added">
          {fields
            .map((compared) => ({ field: compared.field, value: compared[shownSide] }))
            .filter(({ field, value }) => field !== "designation" && value !== null && value !== "")
            .map(({ field, value }) => `${labelOf(field, columns)} ${showValue(field, value, columns)}`)
            .join(" · ")}
        </p>
      ) : (
        <ComparedFields fields={fields} sides={sides} caption={`Changed fields of ${name}`} />
      )}
    </li>
  )
}
