/** A plan before it can be edited: figures and the first rows, while the editor loads. */
import type { CSSProperties } from "react"
import { departmentUses } from "../plan/department-budgets"
import { fieldLabel, gridColumns, isAmountField, keyOf } from "../plan/fields"
import { unitLabel } from "../plan/format"
import { NO_FILTER } from "../plan/query"
import { defaultYearStart } from "../plan/year"
import type { Preview } from "../sync/preview"
import { fieldClasses } from "./grid/columns"
import { Row } from "./grid/Row"
import type { RowActions } from "./grid/row-actions"
import { NARROW_ROW_HEIGHT, NARROW_SCREEN, ROW_HEIGHT } from "./grid/row-size"
import { currentMonth, useMediaQuery } from "./hooks"
import { Logo } from "./Logo"
import { Summary } from "./Summary"

/** Number of rows: more than a screen shows. */
const MAX_ROWS = 40

const nothing = () => {}

/** The rows of a preview react to nothing. */
const ACTIONS: RowActions = {
  select: nothing,
  enter: nothing,
  press: nothing,
  pressHandle: nothing,
  edit: nothing,
  draft: nothing,
  read: () => ({ problem: "" }),
  commit: nothing,
  leave: nothing,
  cancel: nothing,
  conflict: nothing,
  history: nothing,
  remove: nothing,
  comments: nothing,
}

export function PreviewView({ preview }: { preview: Preview }) {
  const { positions, settings, departmentBudgets } = preview
  const { fields } = preview.columns
  const size = useMediaQuery(NARROW_SCREEN) ? NARROW_ROW_HEIGHT : ROW_HEIGHT
  const rows = positions.slice(0, MAX_ROWS)
  const now = Date.now()
  return (
    <div className="page" style={{ "--field-columns": gridColumns(fields) } as CSSProperties} aria-busy="true" data-preview>
      <header className="top">
        <Logo />
        <h1 className="preview-name">{settings.name || "Untitled plan"}</h1>
      </header>
      <main>
        <p className="preview-status" role="status">
          Loading the editor…
        </p>
        {/* Nothing can be used yet, and nothing is read twice. */}
        <div inert>
          <Summary
            positions={positions}
            shown={positions}
            departments={departmentUses(positions, departmentBudgets)}
            yearStart={settings.yearStart ?? defaultYearStart(settings.currency, currentMonth())}
            settings={settings}
            filter={NO_FILTER}
            onFilterGroup={nothing}
            onSettings={null}
            onDepartmentBudgets={null}
          />
          <div className="toolbar" />
          {rows.length > 0 && (
            <div className="grid read-only">
              <div className="grid-head">
                <span className="cell cell-select" />
                {fields.map((field) => (
                  <span key={keyOf(field)} className={fieldClasses(field)}>
                    <span className="head-label">
                      {fieldLabel(field)}
                      {isAmountField(field) && <span className="unit"> {unitLabel(settings.currency, settings.unit)}</span>}
                    </span>
                  </span>
                ))}
                <span className="cell cell-updatedAt">
                  <span className="head-label">Last change</span>
                </span>
                <span className="cell cell-actions" />
              </div>
              <div className="grid-body" style={{ blockSize: `${rows.length * size}px` }}>
                {rows.map((position, at) => (
                  <Row
                    key={position.id}
                    position={position}
                    fields={fields}
                    rowIndex={at + 2}
                    number={at + 1}
                    offset={at * size}
                    size={size}
                    isSelected={false}
                    range={null}
                    active={null}
                    editing={null}
                    highlight={null}
                    editors={null}
                    comments={null}
                    canEdit={false}
                    now={now}
                    actions={ACTIONS}
                  />
                ))}
              </div>
            </div>
          )}
        </div>
      </main>
    </div>
  )
}
