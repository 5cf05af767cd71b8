import { Download } from "lucide-react"
import type { Position } from "../plan/schema"
import type { ExportFormat } from "../plan/table-export"

/** Exports positions. `scope`: what they are, for the file. */
export type OnExport = (rows: readonly Position[], format: ExportFormat, scope: string) => void

interface Props {
  /** The positions of the list. */
  shown: readonly Position[]
  all: readonly Position[]
  onExport: OnExport
}

const FORMATS: readonly { format: ExportFormat; name: string }[] = [
  { format: "xlsx", name: "Excel" },
  { format: "csv", name: "CSV" },
]

export const ALL_POSITIONS = "All positions"
export const FILTERED_POSITIONS = "Filtered positions"
export const SELECTED_POSITIONS = "Selected positions"

/** Menu items that export all positions, and those of the filter if there is one. */
export function ExportItems({ shown, all, onExport }: Props) {
  const isFiltered = shown.length !== all.length
  return (
    <>
      {isFiltered && (
        <Formats
          label={`${shown.length.toLocaleString()} filtered positions`}
          rows={shown}
          scope={FILTERED_POSITIONS}
          onExport={onExport}
        />
      )}
      <Formats
        label={isFiltered ? `all ${all.length.toLocaleString()} positions` : "all"}
        rows={isFiltered ? all : shown}
        scope={ALL_POSITIONS}
        onExport={onExport}
      />
    </>
  )
}

/** One menu item for each format. */
export function Formats({ label, rows, scope, onExport }: { label: string; rows: readonly Position[]; scope: string; onExport: OnExport }) {
  return FORMATS.map(({ format, name }) => (
    <li key={format}>
      <button type="button" onClick={() => onExport(rows, format, scope)}>
        <Download aria-hidden /> Export {label} as {name}
      </button>
    </li>
  ))
}
