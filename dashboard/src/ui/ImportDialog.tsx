import { type ChangeEvent, type DragEvent, useEffect, useState } from "react"
import { fieldNoun } from "../plan/fields"
import type { Settings } from "../plan/schema"
import type { ImportChanges, ImportReview as Review } from "../plan/table-import/review"
import type { PlanStore } from "../sync/plan-store"
import { useColumns } from "./columns-context"
import { Dialog } from "./Dialog"
import { DialogFoot } from "./DialogFoot"
import { ImportColumns } from "./ImportColumns"
import { ImportReview } from "./ImportReview"
import { ImportUnit } from "./ImportUnit"
import { useTableImport } from "./use-table-import"

interface Props {
  /** Pasted rows; `null` to choose a file. */
  text: string | null
  store: PlanStore
  settings: Settings
  onImport: (changes: ImportChanges) => void
  onClose: () => void
}

const MAX_BYTES = 20_000_000
const CHANGED = "The plan has changed since. Check the preview again."

/** Import of a table, with a preview of what it changes. */
export function ImportDialog({ text, store, settings, onImport, onClose }: Props) {
  const table = useTableImport(store)
  const columns = useColumns()
  const { info, mapping, reviewed, options, busy, open } = table
  const [name, setName] = useState("")
  const [notice, setNotice] = useState<string | null>(null)
  useEffect(() => {
    if (text !== null) void open({ text })
  }, [text, open])

  const read = async (file: File | undefined) => {
    if (!file) return
    setName(file.name)
    setNotice(null)
    if (file.size > MAX_BYTES) return table.clear("The file is larger than 20 MB. Split it into several files.")
    try {
      await open({ bytes: new Uint8Array(await file.arrayBuffer()) })
    } catch {
      table.clear("The file could not be read.")
    }
  }
  const submit = async () => {
    setNotice(null)
    const changes = await table.changes()
    if (changes) onImport(changes)
    else setNotice(CHANGED)
  }
  const review = reviewed?.review ?? null
  const hasBudget = mapping?.targets.includes("budget") === true
  const hasUnit = !hasBudget || mapping?.unit !== null
  // A table that is not recognized is explained until the user chooses the columns.
  const isProposed = mapping !== null && mapping === info?.proposal.mapping
  const problem = table.problem ?? (isProposed ? info?.proposal.problem : null) ?? review?.problem ?? null
  const isUsable = problem === null && hasUnit && busy === null && review !== null && review.added + review.changed + review.deleted > 0
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
            <span className="drop-label">{name || "Choose an Excel or CSV file, or drop one here"}</span>
            <input
              type="file"
              accept=".xlsx,.xlsm,.csv,.tsv,.txt,text/csv,text/tab-separated-values,application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
              onChange={(event: ChangeEvent<HTMLInputElement>) => void read(event.target.files?.[0])}
            />
          </label>
          {info === null && (
            <>
              <label>
                <span>or paste rows from a spreadsheet</span>
                <textarea
                  rows={3}
                  onChange={(event) => {
                    if (event.target.value.trim() === "") table.clear(null)
                    else void open({ text: event.target.value })
                  }}
                />
              </label>
              <p className="fine">
                Columns: {columns.fields.map(fieldNoun).join(", ")}. With a header row (also job title, team, annual salary, city) the order
                does not matter. A table with the ids of an export updates its positions.
              </p>
            </>
          )}
        </div>
      )}
      {problem !== null && (
        <p role="alert" className="problem">
          {problem}
        </p>
      )}
      {notice !== null && (
        <p role="alert" className="notice">
          {notice}
        </p>
      )}
      {info && info.sheets.length > 1 && (
        <div className="stack">
          <label htmlFor="import-sheet">Sheet</label>
          <select id="import-sheet" value={info.sheet ?? ""} onChange={(event) => table.selectSheet(Number(event.target.value))}>
            {info.sheets.map(({ index, name: sheet }) => (
              <option key={index} value={index}>
                {sheet}
              </option>
            ))}
          </select>
        </div>
      )}
      {info && info.hiddenRows > 0 && mapping && (
        <label className="check">
          <input type="checkbox" checked={mapping.hasHiddenRows} onChange={(event) => table.setHiddenRows(event.target.checked)} />
          Import the {info.hiddenRows.toLocaleString()} {info.hiddenRows === 1 ? "row" : "rows"} that the sheet hides
        </label>
      )}
      {review?.notes.map((note) => (
        <p key={note} role="status" className="notice">
          {note}
        </p>
      ))}
      {info && mapping && reviewed && (
        <ImportColumns
          columns={reviewed.columns}
          headerChoices={info.headerChoices}
          mapping={mapping}
          isOpen={info.proposal.problem !== null}
          onTarget={table.setTarget}
          onHeaderRow={(row) => void table.setHeaderRow(row)}
        />
      )}
      {review && review.ignored.length > 0 && <p className="fine">Columns not imported: {review.ignored.join(", ")}.</p>}
      {mapping && reviewed && hasBudget && problem === null && (
        <ImportUnit
          settings={settings}
          unit={mapping.unit}
          judgement={reviewed.review.unit}
          namedUnit={reviewed.namedUnit}
          onUnit={table.setUnit}
        />
      )}
      {review && problem === null && (
        <ImportReview review={review} settings={settings} options={options} hasUnit={hasUnit} onOption={table.setOption} />
      )}
      {busy !== null && (
        <p role="status" className="fine">
          {busy}
        </p>
      )}
      <DialogFoot
        onCancel={onClose}
        confirm={isUsable ? labelOf(review) : "Add"}
        isDangerous={review !== null && review.deleted > 0}
        isDisabled={!isUsable}
        onConfirm={() => void submit()}
      />
    </Dialog>
  )
}

/** `Add 3, update 2 and delete 1 positions`. */
function labelOf({ added, changed, deleted }: Review): string {
  const parts = [
    ...(added > 0 ? [`add ${added.toLocaleString()}`] : []),
    ...(changed > 0 ? [`update ${changed.toLocaleString()}`] : []),
    ...(deleted > 0 ? [`delete ${deleted.toLocaleString()}`] : []),
  ]
  const text = parts.length > 1 ? `${parts.slice(0, -1).join(", ")} and ${parts.at(-1)}` : (parts[0] ?? "")
  const last = deleted || changed || added
  return `${text.charAt(0).toUpperCase()}${text.slice(1)} ${last === 1 ? "position" : "positions"}`
}
