import { type ChangeEvent, type DragEvent, useState } from "react"
import type { NewPosition } from "../plan/edit"
import { FIELD_LIST } from "../plan/fields"
import { formatMoney, unitLabel } from "../plan/format"
import { roundSum, sumBudgets as sumOf } from "../plan/query"
import type { Settings } from "../plan/schema"
import { decodeFile, failedPreview, type ImportLine, type ImportPreview, parseTable, type SkippedLine } from "../plan/table-import"
import { Dialog } from "./Dialog"
import { PositionsTable } from "./PositionsTable"

interface Props {
  /** Pasted rows; `null` to choose a file. */
  text: string | null
  settings: Settings
  /** Sum of all budgets of the plan. */
  usedBudget: number
  onImport: (positions: NewPosition[]) => void
  onClose: () => void
}

const MAX_PREVIEW_ROWS = 100
/** Maximum number of reported lines; the others are counted. */
const MAX_REPORTED_LINES = 20
const MAX_BYTES = 20_000_000

/** Import dialog with a preview. */
export function ImportDialog({ text, settings, usedBudget, onImport, onClose }: Props) {
  const { currency, unit } = settings
  const [preview, setPreview] = useState<ImportPreview | null>(() => (text === null ? null : parseTable(text, { currency, unit })))
  const [name, setName] = useState("")

  const read = async (file: File | undefined) => {
    if (!file) return
    setName(file.name)
    if (file.size > MAX_BYTES) return setPreview(failedPreview("The file is larger than 20 MB. Split it into several files."))
    try {
      const content = decodeFile(new Uint8Array(await file.arrayBuffer()))
      if ("problem" in content) return setPreview(failedPreview(content.problem))
      const table = parseTable(content.text, { currency, unit })
      setPreview({ ...table, notes: [...content.notes, ...table.notes] })
    } catch {
      setPreview(failedPreview("The file could not be read."))
    }
  }
  const validLines = preview?.lines.filter((line) => line.problem === null) ?? []
  const invalidLines = preview?.lines.filter((line) => line.problem !== null) ?? []
  const isUsable = preview?.problem === null && validLines.length > 0
  return (
    <Dialog title={text === null ? "Import positions" : "Paste positions"} onClose={onClose}>
      {text === null && (
        // biome-ignore lint/a11y/noStaticElementInteractions: the file input offers the same function
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
              onChange={(event) => setPreview(event.target.value.trim() === "" ? null : parseTable(event.target.value, { currency, unit }))}
            />
          </label>
          <p className="fine">
            Columns: {FIELD_LIST}. With a header row (also job title, team, annual salary, city) the order does not matter.
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
      {preview && preview.ignored.length > 0 && <p className="fine">Columns not imported: {preview.ignored.join(", ")}.</p>}
      {preview && preview.skipped.length > 0 && <SkippedLines lines={preview.skipped} />}
      {invalidLines.length > 0 && <InvalidLines lines={invalidLines} />}
      {isUsable && (
        <>
          <Totals positions={validLines.map((line) => line.position)} settings={settings} usedBudget={usedBudget} />
          <PositionsTable
            rows={validLines.map(({ number, position }) => ({ key: number, ...position }))}
            maxRows={MAX_PREVIEW_ROWS}
            label="Preview"
            unit={unitLabel(currency, unit)}
          />
        </>
      )}
      <footer className="dialog-foot">
        <button type="button" onClick={onClose}>
          Cancel
        </button>
        <button type="button" className="primary" disabled={!isUsable} onClick={() => onImport(validLines.map((line) => line.position))}>
          {isUsable ? `Add ${validLines.length.toLocaleString()} ${validLines.length === 1 ? "position" : "positions"}` : "Add"}
        </button>
      </footer>
    </Dialog>
  )
}

/** Effect of the import on the budget of the plan. */
function Totals({ positions, settings, usedBudget }: { positions: readonly NewPosition[]; settings: Settings; usedBudget: number }) {
  const { currency, unit, totalBudget } = settings
  const sum = sumOf(positions)
  const unknown = positions.filter(({ budget }) => budget === null).length
  const show = (budget: number) => formatMoney(budget, currency, unit)
  return (
    <p role="status" className="import-totals">
      Amounts without a unit are in {unitLabel(currency, unit)}. {positions.length === 1 ? "This position adds" : "These positions add"}{" "}
      <strong>{show(sum)}</strong>; the plan will use <strong>{show(roundSum(usedBudget + sum))}</strong>
      {totalBudget !== null && ` of ${show(totalBudget)}`}.
      {unknown > 0 && ` ${unknown.toLocaleString()} ${unknown === 1 ? "position has" : "positions have"} no budget.`}
    </p>
  )
}

function SkippedLines({ lines }: { lines: readonly SkippedLine[] }) {
  return (
    <details className="bad" open={lines.length <= 5}>
      <summary>
        {lines.length.toLocaleString()} {lines.length === 1 ? "line" : "lines"} skipped
      </summary>
      <LineList lines={lines.map(({ number, reason }) => ({ number, text: `Line ${number} ${reason}.` }))} />
    </details>
  )
}

function InvalidLines({ lines }: { lines: readonly ImportLine[] }) {
  return (
    <details className="bad" open={lines.length <= 5}>
      <summary>
        {lines.length.toLocaleString()} {lines.length === 1 ? "line" : "lines"} cannot be imported
      </summary>
      <LineList lines={lines.map(({ number, problem }) => ({ number, text: `Line ${number}: ${problem}` }))} />
    </details>
  )
}

function LineList({ lines }: { lines: readonly { number: number; text: string }[] }) {
  const others = lines.length - MAX_REPORTED_LINES
  return (
    <ul>
      {lines.slice(0, MAX_REPORTED_LINES).map(({ number, text }) => (
        <li key={number}>{text}</li>
      ))}
      {others > 0 && <li key="others">and {others.toLocaleString()} more</li>}
    </ul>
  )
}
