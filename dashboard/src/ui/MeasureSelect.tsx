import { MEASURE_LABELS, type Measure } from "../plan/cost"

interface Props {
  label: string
  value: Measure
  onChange: (measure: Measure) => void
}

/** Chooses what the bars of the charts add up. */
export function MeasureSelect({ label, value, onChange }: Props) {
  return (
    <select className="measure" aria-label={label} value={value} onChange={(event) => onChange(event.target.value as Measure)}>
      {Object.entries(MEASURE_LABELS).map(([measure, name]) => (
        <option key={measure} value={measure}>
          {name}
        </option>
      ))}
    </select>
  )
}
