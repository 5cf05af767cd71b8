/**
 * Grid of positions with the keyboard, ranges and clipboard of a spreadsheet, after the WAI-ARIA grid pattern.
 *
 * Only visible rows are in the DOM, so that 5,000 rows are as fast as 50; the page scrolls.
 */
import { useMemo } from "react"
import { describeRange } from "../../grid/range"
import type { Person } from "../../sync/presence"
import { useCurrentMinute } from "../hooks"
import { columnsOf, FIRST_FIELD } from "./columns"
import { GridHead, wholeColumns } from "./GridHead"
import { GroupRow } from "./GroupRow"
import { gridClipboard } from "./grid-clipboard"
import { gridKeys } from "./grid-keys"
import type { GridProps } from "./grid-props"
import { NEW_ROW, NewRow } from "./NewRow"
import { Row } from "./Row"
import { useCellEditing } from "./use-cell-editing"
import { useGridCommands } from "./use-grid-commands"
import { useGridMovement } from "./use-grid-movement"
import { useGridScroll } from "./use-grid-scroll"
import { useGridSelection } from "./use-grid-selection"
import { useRowActions } from "./use-row-actions"
import { useRowRanges } from "./use-row-ranges"

export function Grid(props: GridProps) {
  const { lines: gridLines, fields, grouping, people, highlights, selected, canEdit, onCellFocus } = props
  const { lines, positions } = gridLines
  const columns = useMemo(() => columnsOf(fields, canEdit), [fields, canEdit])
  const hasNewRow = canEdit && props.onAdd !== null
  const now = useCurrentMinute()
  const selection = useGridSelection(gridLines, fields, hasNewRow, props.onRange)
  const { active, activeLine, isOnNewRow, rect, isMultiple } = selection
  const scroll = useGridScroll({ gridLines, hasNewRow, selection, hasFiguresLine: props.hasFiguresLine })
  const { virtual, margin, size, headSize } = scroll
  const movement = useGridMovement({ gridLines, columns, hasNewRow, selection, scroll, onCellFocus })
  const commands = useGridCommands({ props, selection, scroll, movement })
  const editing = useCellEditing({ props, columns, selection, scroll, movement })
  const { actions, fillTarget } = useRowActions({ props, selection, scroll, movement, commands, editing })
  const rangeOf = useRowRanges({ rect, fillTarget, isMultiple, hasHandle: canEdit && !scroll.isNarrow })

  const editorsByRow = useMemo(() => {
    const found = new Map<string, Person[]>()
    for (const person of people) {
      if (person.cell) found.set(person.cell.position, [...(found.get(person.cell.position) ?? []), person])
    }
    return found
  }, [people])

  return (
    <>
      <p role="status" className="hidden">
        {rect && isMultiple ? describeRange(positions, rect, fields) : ""}
      </p>
      <div
        role="grid"
        aria-label="Positions"
        aria-rowcount={lines.length + (hasNewRow ? 2 : 1)}
        aria-multiselectable
        className={canEdit ? "grid" : "grid read-only"}
        onKeyDown={gridKeys({ props, columns, selection, scroll, movement, commands, editing })}
        {...gridClipboard({ props, selection, scroll, movement, commands })}
        onBlur={(event) => {
          if (!event.currentTarget.contains(event.relatedTarget)) onCellFocus(null)
        }}
      >
        <GridHead
          head={scroll.head}
          listed={props.listed}
          selected={selected}
          canEdit={canEdit}
          sort={props.sort}
          settings={props.settings}
          fields={fields}
          columns={wholeColumns(rect, positions.length, isMultiple)}
          onSelected={props.onSelected}
          onSort={props.onSort}
          onResize={props.onResize}
          onSelectColumn={commands.selectColumn}
        />
        <div role="rowgroup" ref={scroll.body} className="grid-body" style={{ blockSize: `${virtual.getTotalSize()}px` }}>
          {virtual.getVirtualItems().map(({ index, start }) => {
            const line = lines[index]
            const isFirst = activeLine === undefined && !isOnNewRow && index === 0
            if (!line)
              return (
                <NewRow
                  key={NEW_ROW}
                  rowIndex={index + 2}
                  offset={start - margin}
                  size={size}
                  isActive={isOnNewRow}
                  onFocus={() => {
                    if (!isOnNewRow) actions.enter(NEW_ROW, "select")
                  }}
                  onAdd={() => props.onAdd?.()}
                />
              )
            if (line.kind === "group")
              return (
                <GroupRow
                  key={line.id}
                  line={line}
                  rowIndex={index + 2}
                  offset={start - margin}
                  size={headSize}
                  fields={fields}
                  columnCount={columns.length}
                  active={active?.id === line.id ? active.column : isFirst ? FIRST_FIELD : null}
                  selected={selected}
                  canEdit={canEdit}
                  grouping={grouping}
                  note={props.groupNote(line.group.key)}
                  onFocus={(column) => actions.enter(line.id, column)}
                  onToggle={() => props.onCollapse(line.group.key, !line.isCollapsed)}
                  onCheck={() => commands.checkGroup(line.group)}
                />
              )
            const { position } = line
            const isActive = active?.id === position.id
            return (
              <Row
                key={position.id}
                position={position}
                fields={fields}
                rowIndex={index + 2}
                number={line.number}
                offset={start - margin}
                size={size}
                isSelected={selected.has(position.id)}
                range={rangeOf(line.index)}
                active={isActive ? active.column : isFirst ? FIRST_FIELD : null}
                editing={isActive ? selection.editing : null}
                highlight={highlights.get(position.id) ?? null}
                editors={editorsByRow.get(position.id) ?? null}
                comments={props.comments.get(position.id) ?? null}
                canEdit={canEdit}
                now={now}
                actions={actions}
              />
            )
          })}
        </div>
      </div>
    </>
  )
}
