import { type ChangeEvent, type DragEvent, useState } from "react"
import { type Preview, readTable } from "../plan/csv"
import type { NewPosition } from "../plan/edit"
import { Dialog } from "./Dialog"
import { PositionsTable } from "./PositionsTable"

interface Props {
  /** What was pasted; null: a file is to be chosen. */
  text: string | null
  onImport: (positions: NewPosition[]) => void
  onClose: () => void
}

const SHOWN = 100
const MAX_BYTES = 20_000_000

/** Shows what a table holds before any of it is taken. */
export function ImportDialog({ text, onImport, onClose }: Props) {
  const [preview, setPreview] = useState<Preview | null>(() => (text === null ? null : readTable(text)))
  const [name, setName] = useState("")

  const read = async (file: File | undefined) => {
    if (!file) return
    setName(file.name)
    if (file.size > MAX_BYTES) return setPreview({ lines: [], ignored: [], problem: "The file is larger than 20 MB." })
    try {
      const bytes = await file.arrayBuffer()
      setPreview(readTable(decode(bytes)))
    } catch {
      setPreview({ lines: [], ignored: [], problem: "The file could not be read." })
    }
  }
  const good = preview?.lines.filter((line) => line.problem === null) ?? []
  const bad = preview?.lines.filter((line) => line.problem !== null) ?? []
  const isUsable = preview !== null && good.length > 0 && (preview.problem === null || preview.lines.length > 0)
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
            <textarea rows={3} onChange={(event) => setPreview(event.target.value.trim() === "" ? null : readTable(event.target.value))} />
          </label>
          <p className="fine">
            Columns: designation, department, budget, location. A first line with these names may put them in any order.
          </p>
        </div>
      )}
      {preview?.problem && (
        <p role="alert" className="problem">
          {preview.problem}
        </p>
      )}
      {preview && preview.ignored.length > 0 && (
        <p className="fine">Left out, as a position has nothing of the kind: {preview.ignored.join(", ")}.</p>
      )}
      {bad.length > 0 && (
        <details className="bad" open={bad.length <= 5}>
          <summary>
            {bad.length} {bad.length === 1 ? "line" : "lines"} cannot be taken
          </summary>
          <ul>
            {bad.slice(0, SHOWN).map((line) => (
              <li key={line.number}>
                Line {line.number}: {line.problem}
              </li>
            ))}
          </ul>
        </details>
      )}
      {good.length > 0 && (
        <PositionsTable rows={good.map(({ number, position }) => ({ key: number, ...position }))} most={SHOWN} label="Preview" />
      )}
      <footer className="dialog-foot">
        <button type="button" onClick={onClose}>
          Cancel
        </button>
        <button type="button" className="primary" disabled={!isUsable} onClick={() => onImport(good.map((line) => line.position))}>
          {good.length === 0 ? "Add" : `Add ${good.length.toLocaleString()} ${good.length === 1 ? "position" : "positions"}`}
        </button>
      </footer>
    </Dialog>
  )
}

/** UTF-8, UTF-16 as spreadsheets write it, and what old ones write. */
function decode(bytes: ArrayBuffer): string {
  const head = new Uint8Array(bytes, 0, Math.min(2, bytes.byteLength))
  if (head[0] === 0xff && head[1] === 0xfe) return new TextDecoder("utf-16le").decode(bytes)
  if (head[0] === 0xfe && head[1] === 0xff) return new TextDecoder("utf-16be").decode(bytes)
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes)
  } catch {
    return new TextDecoder("windows-1252").decode(bytes)
  }
}
