import { ChevronLeft, ChevronRight } from "lucide-react"
import { useEffect, useState } from "react"
import { formatMonth, formatMonthName } from "../../plan/format"
import { isMonth } from "../../plan/month"
import { EditorPopup } from "../EditorPopup"
import { currentMonth } from "../hooks"

interface Props {
  label: string
  /** The entered month; `null` if there is none. */
  month: string | null
  onPick: (month: string | null) => void
}

/** The months of a year, below the editor of a month. The focus stays in the editor. */
export function MonthPicker({ label, month, onPick }: Props) {
  const [year, setYear] = useState(() => Number((month ?? currentMonth()).slice(0, 4)))
  useEffect(() => {
    if (month) setYear(Number(month.slice(0, 4)))
  }, [month])
  const monthOf = (number: number) => `${year}-${String(number).padStart(2, "0")}`
  const turn = (by: number) => {
    if (isMonth(`${year + by}-01`)) setYear(year + by)
  }
  return (
    <EditorPopup role="group" label={label}>
      <div className="month-year">
        <button type="button" className="icon" tabIndex={-1} aria-label="Previous year" onClick={() => turn(-1)}>
          <ChevronLeft aria-hidden />
        </button>
        <span aria-live="polite">{year}</span>
        <button type="button" className="icon" tabIndex={-1} aria-label="Next year" onClick={() => turn(1)}>
          <ChevronRight aria-hidden />
        </button>
      </div>
      <div className="months">
        {Array.from({ length: 12 }, (_, at) => monthOf(at + 1)).map((value) => (
          <button
            key={value}
            type="button"
            tabIndex={-1}
            aria-label={formatMonth(value)}
            aria-pressed={value === month}
            onClick={() => onPick(value)}
          >
            {formatMonthName(value)}
          </button>
        ))}
      </div>
      {month !== null && (
        <button type="button" className="link" tabIndex={-1} onClick={() => onPick(null)}>
          Remove the month
        </button>
      )}
    </EditorPopup>
  )
}
