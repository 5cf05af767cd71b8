import { useId } from "react"
import { fieldLabel, keyOf } from "../plan/fields"
import type { ColumnTarget, Mapping } from "../plan/table-import/mapping"
import type { ColumnInfo, HeaderChoice } from "../tables/session"
import { useColumns } from "./columns-context"

interface Props {
  columns: readonly ColumnInfo[]
  headerChoices: readonly HeaderChoice[]
  mapping: Mapping
  /** The columns were not recognized, so that the user has to choose them. */
  isOpen: boolean
  onTarget: (column: number, target: ColumnTarget | null) => void
  onHeaderRow: (row: number) => void
}

const NOT_IMPORTED = ""

/** Which column of the table is imported as which field. */
export function ImportColumns({ columns, headerChoices, mapping, isOpen, onTarget, onHeaderRow }: Props) {
  const id = useId()
  const { fields } = useColumns()
  const chosen = mapping.targets.filter((target) => target !== null).length
  return (
    <details className="import-columns" open={isOpen}>
      <summary>
        Columns: {chosen.toLocaleString()} of {columns.length.toLocaleString()} imported
      </summary>
      <div className="stack">
        <label htmlFor={`${id}-head`}>Names of the columns</label>
        <select id={`${id}-head`} value={mapping.headerRow} onChange={(event) => onHeaderRow(Number(event.target.value))}>
          <option value={-1}>The table has no names of columns</option>
          {headerChoices.map(({ row, number, text }) => (
            <option key={row} value={row}>
              Line {number}: {text}
            </option>
          ))}
        </select>
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrollable region must be reachable by keyboard */}
      <section className="import-columns-table" tabIndex={0} aria-label="Columns">
        <table>
          <thead>
            <tr>
              <th scope="col">Column</th>
              <th scope="col">First values</th>
              <th scope="col">Import as</th>
            </tr>
          </thead>
          <tbody>
            {columns.map(({ letter, head, samples }, at) => (
              <tr key={letter}>
                <th scope="row">{head || `Column ${letter}`}</th>
                <td>{samples.length > 0 ? samples.join(" · ") : <span className="fine">empty</span>}</td>
                <td>
                  <select
                    aria-label={`Import ${head || `column ${letter}`} as`}
                    value={mapping.targets[at] ?? NOT_IMPORTED}
                    onChange={(event) => onTarget(at, event.target.value === NOT_IMPORTED ? null : (event.target.value as ColumnTarget))}
                  >
                    <option value={NOT_IMPORTED}>Do not import</option>
                    {fields.map((field) => (
                      <option key={keyOf(field)} value={keyOf(field)}>
                        {fieldLabel(field)}
                      </option>
                    ))}
                    <option value="id">Id of the position</option>
                  </select>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </details>
  )
}
