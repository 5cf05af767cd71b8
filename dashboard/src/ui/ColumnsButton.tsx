import { Columns3 } from "lucide-react"

/** Opens the dialog of the columns. Phones, which show a fixed choice of them, have the command palette. */
export function ColumnsButton({ onOpen }: { onOpen: () => void }) {
  return (
    <button type="button" className="icon not-on-phones" aria-label="Columns" title="Columns" onClick={onOpen}>
      <Columns3 aria-hidden />
    </button>
  )
}
