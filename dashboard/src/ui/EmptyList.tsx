interface Props {
  /** The filter hides all positions. */
  isFiltered: boolean
  onClearFilters: () => void
  /** `null` without edit access. */
  onAdd: (() => void) | null
  onImport: () => void
}

/** Shown in place of the grid when there are no rows. */
export function EmptyList({ isFiltered, onClearFilters, onAdd, onImport }: Props) {
  if (isFiltered)
    return (
      <div className="empty">
        <p>No positions match your filters.</p>
        <button type="button" onClick={onClearFilters}>
          Clear filters
        </button>
      </div>
    )
  return (
    <div className="empty">
      <p>This plan has no positions yet.</p>
      {onAdd && <p className="fine">Paste rows from a spreadsheet here, or start with one of these.</p>}
      {onAdd && (
        <p className="empty-actions">
          <button type="button" className="primary" onClick={onAdd}>
            Add your first position
          </button>
          <button type="button" onClick={onImport}>
            Import a table
          </button>
        </p>
      )}
    </div>
  )
}
