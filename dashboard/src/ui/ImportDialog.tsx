import { type ChangeEvent, type DragEvent, useState } from "react"
import type { NewPosition } from "../plan/edit"
import { inUnits, money } from "../plan/money"
import type { Settings } from "../plan/schema"
import { used as sumOf, withoutNoise } from "../plan/table"
import { type Line, type Preview, readFileText, readTable, refusal, type SkippedLine } from "../plan/table-file"
import { Dialog } from "./Dialog"
import { PositionsTable } from "./PositionsTable"

interface Props {
  /** Pasted rows; null if a file is to be chosen. */
  text: string | null
  settings: Settings
  /** Sum of the plan's budgets, in its unit. */
  used: number
  onImport: (positions: NewPosition[]) => void
  onClose: () => void
}

const SHOWN = 100
/** Lines that are listed with the reason why they are not imported; the others are counted. */
const REPORTED = 20
const MAX_BYTES = 20_000_000

/** Shows what a table holds before any of it is added. */
export function ImportDialog({ text, settings, used, onImport, onClose }: Props) {
  const { currency, unit } = settings
  const [preview, setPreview] = useState<Preview | null>(() => (text === null ? null : readTable(text, { currency, unit })))
  const [name, setName] = useState("")

  const read = async (file: File | undefined) => {
    if (!file) return
    setName(file.name)
    if (file.size > MAX_BYTES) return setPreview(refusal("The file is larger than 20 MB. Split it into several files."))
    try {
      const content = readFileText(new Uint8Array(await file.arrayBuffer()))
      if ("problem" in content) return setPreview(refusal(content.problem))
      const table = readTable(content.text, { currency, unit })
      setPreview({ ...table, notes: [...content.notes, ...table.notes] })
    } catch {
      setPreview(refusal("The file could not be read."))
    }
  }
  const good = preview?.lines.filter((line) => line.problem === null) ?? []
  const bad = preview?.lines.filter((line) => line.problem !== null) ?? []
  const isUsable = preview?.problem === null && good.length > 0
  return (
    <Dialog title={text === null ? "Import positions" : "Paste positions"} onClose={onClose}>
      {text === null && (
        // biome-ignore lint/a11y/noStaticElementInteractions: the field within it does the same
        <div
          className="drop"
          onDragOver={(event) => event.preventDefault()}
          onDrop={(event: DragEvent) => {
            event.preventDefault()
            void read(event.dataTransfer.files[0])
          }}
        >
          <label>
            <span className="drop-label">{name || "Choose a CSV file, or drop one here"}</span>
            <input
              type="file"
              accept=".csv,.tsv,.txt,text/csv,text/tab-separated-values"
              onChange={(event: ChangeEvent<HTMLInputElement>) => void read(event.target.files?.[0])}
            />
          </label>
          <label>
            <span>or paste rows from a spreadsheet</span>
            <textarea
              rows={3}
              onChange={(event) => setPreview(event.target.value.trim() === "" ? null : readTable(event.target.value, { currency, unit }))}
            />
          </label>
          <p className="fine">
            Columns: designation, department, budget, location. A line with these or similar names (job title, team, annual salary, city)
            may put them in any order.
          </p>
        </div>
      )}
      {preview?.problem && (
        <p role="alert" className="problem">
          {preview.problem}
        </p>
      )}
      {preview?.notes.map((note) => (
        <p key={note} role="status" className="notice">
          {note}
        </p>
      ))}
      {preview && preview.ignored.length > 0 && <p className="fine">Columns that are not imported: {preview.ignored.join(", ")}.</p>}
      {preview && preview.skipped.length > 0 && <Skipped lines={preview.skipped} />}
      {bad.length > 0 && <Refused lines={bad} />}
      {isUsable && (
        <>
          <Totals positions={good.map((line) => line.position)} settings={settings} used={used} />
          <PositionsTable
            rows={good.map(({ number, position }) => ({ key: number, ...position }))}
            most={SHOWN}
            label="Preview"
            unit={inUnits(currency, unit)}
          />
        </>
      )}
      <footer className="dialog-foot">
        <button type="button" onClick={onClose}>
          Cancel
        </button>
        <button type="button" className="primary" disabled={!isUsable} onClick={() => onImport(good.map((line) => line.position))}>
          {isUsable ? `Add ${good.length.toLocaleString()} ${good.length === 1 ? "position" : "positions"}` : "Add"}
        </button>
      </footer>
    </Dialog>
  )
}

/** What the positions add to the plan. */
function Totals({ positions, settings, used }: { positions: readonly NewPosition[]; settings: Settings; used: number }) {
  const { currency, unit, totalBudget } = settings
  const sum = sumOf(positions)
  const unknown = positions.filter(({ budget }) => budget === null).length
  const show = (budget: number) => money(budget, currency, unit)
  return (
    <p role="status" className="import-totals">
      Amounts without a unit count in {inUnits(currency, unit)}. {positions.length === 1 ? "This position adds" : "These positions add"}{" "}
      <strong>{show(sum)}</strong>; the plan will use <strong>{show(withoutNoise(used + sum))}</strong>
      {totalBudget !== null && ` of ${show(totalBudget)}`}.
      {unknown > 0 && ` ${unknown.toLocaleString()} ${unknown === 1 ? "position has" : "positions have"} no budget.`}
    </p>
  )
}

function Skipped({ lines }: { lines: readonly SkippedLine[] }) {
  return (
    <details className="bad" open={lines.length <= 5}>
      <summary>
        {lines.length.toLocaleString()} {lines.length === 1 ? "line is" : "lines are"} no position
      </summary>
      <Listed lines={lines.map(({ number, reason }) => ({ number, text: `Line ${number} ${reason}.` }))} />
    </details>
  )
}

function Refused({ lines }: { lines: readonly Line[] }) {
  return (
    <details className="bad" open={lines.length <= 5}>
      <summary>
        {lines.length.toLocaleString()} {lines.length === 1 ? "line" : "lines"} cannot be imported
      </summary>
      <Listed lines={lines.map(({ number, problem }) => ({ number, text: `Line ${number}: ${problem}` }))} />
    </details>
  )
}

function Listed({ lines }: { lines: readonly { number: number; text: string }[] }) {
  const others = lines.length - REPORTED
  return (
    <ul>
      {lines.slice(0, REPORTED).map(({ number, text }) => (
        <li key={number}>{text}</li>
      ))}
      {others > 0 && <li key="others">and {others.toLocaleString()} more</li>}
    </ul>
  )
}
