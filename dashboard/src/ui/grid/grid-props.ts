/** What the page gives the grid. */
import type { UrlHeads } from "@automerge/automerge-repo/slim"
import type { ClipboardTable } from "../../grid/clipboard"
import type { GridLines } from "../../grid/grid-lines"
import type { Rect } from "../../grid/range"
import type { CommentsByPosition } from "../../plan/comment-index"
import type { PositionAtHeads } from "../../plan/edit"
import type { ColumnKey, Field, GroupField } from "../../plan/fields"
import type { Sort } from "../../plan/query"
import type { FieldValue, Position, Settings } from "../../plan/schema"
import type { Highlight } from "../../sync/plan-store"
import type { CellAddress, Person } from "../../sync/presence"
import type { GroupNote } from "./GroupRow"

/** A text that is being typed into a cell. */
export interface TypedText {
  /** The position when the cell was opened. */
  base: PositionAtHeads
  field: ColumnKey
  text: string
}

export interface GridProps {
  /** The positions of the list, and the heads of their groups. */
  lines: GridLines
  /** All positions of the list, those of collapsed groups included. */
  listed: readonly Position[]
  /** The columns that the list shows. */
  fields: readonly Field[]
  /** The field of the groups. */
  grouping: GroupField | null
  /** A line of figures lies over the top of the window. */
  hasFiguresLine: boolean
  /** Heads of the document for `lines`. */
  heads: UrlHeads
  settings: Settings
  people: readonly Person[]
  highlights: ReadonlyMap<string, Highlight>
  comments: CommentsByPosition
  selected: ReadonlySet<string>
  sort: Sort | null
  canEdit: boolean
  onSelected: (selected: ReadonlySet<string>) => void
  onSort: (sort: Sort | null) => void
  /** `width`: in rem; `null` for the width that fits the page. */
  onResize: (field: ColumnKey, width: number | null) => void
  /** `key`: the folded name of a group. */
  onCollapse: (key: string, isCollapsed: boolean) => void
  /** What stands beside the sum of a group, such as what is left of its budget. */
  groupNote: (key: string) => GroupNote | null
  /** `base`: the position when the cell was opened, if somebody else has set the field or deleted the position since. */
  onSet: (id: string, field: ColumnKey, value: FieldValue, base: PositionAtHeads | null) => void
  /** The current version of a position, which may not be rendered yet; `null` if it was deleted. */
  readPosition: (id: string) => PositionAtHeads | null
  /** The position being edited. It stays in the list even if the filter excludes it. */
  onEditing: (id: string | null) => void
  onConflict: (id: string, field: ColumnKey) => void
  onComments: (id: string) => void
  onHistory: (id: string) => void
  onRemove: (ids: string[]) => void
  onCellFocus: (cell: CellAddress | null) => void
  /** The selected cells; `null` if there is no more than one. */
  onRange: (rect: Rect | null) => void
  /** `cut`: the cells were copied before. */
  onClear: (rect: Rect, cut: boolean) => void
  onFill: (source: Rect, target: Rect) => void
  /** Pastes onto cells or below the last row. `onAdded` receives the ids of added positions. */
  onPaste: (target: Rect | "below", table: ClipboardTable, onAdded: (ids: readonly string[]) => void) => void
  /** Adds a position; `null` if the list has no place for one. */
  onAdd: (() => void) | null
  /** Somebody deleted the position while it was edited. `draft`: the typed text; `null` if there is none. */
  onDeletedWhileEditing: (base: PositionAtHeads, field: ColumnKey, draft: string | null) => void
  /** The page is being closed while a cell is edited; `null`: it is back. */
  onClosing: (left: TypedText | null) => void
}
