import { BookmarkPlus, Check, ChevronDown, List, Pencil, RefreshCw, Trash2 } from "lucide-react"
import type { SavedView } from "../plan/saved-views"
import { describeView, normalizeView } from "../plan/view"
import { useColumns } from "./columns-context"
import { Menu } from "./Menu"

interface Props {
  views: readonly SavedView[]
  /** The view of the list, as the address names it. */
  current: string
  canEdit: boolean
  /** `view`: as the address names it; empty for all positions. */
  onOpen: (view: string) => void
  onSave: () => void
  onRename: (view: SavedView) => void
  onUpdate: (view: SavedView) => void
  onDelete: (view: SavedView) => void
}

/** Menu of the saved views of a plan. */
export function ViewsMenu({ views, current, canEdit, onOpen, onSave, onRename, onUpdate, onDelete }: Props) {
  const columns = useColumns()
  const open = views.find(({ view }) => normalizeView(view) === current)
  const isPlain = current === ""
  const name = open ? open.name || "Untitled view" : isPlain ? "Views" : "Unsaved view"
  return (
    <Menu
      label={`View: ${open ? open.name : isPlain ? "all positions" : "unnamed"}. Choose a view`}
      className="views-menu"
      button={
        <>
          <List aria-hidden /> <span className="views-name">{name}</span> <ChevronDown aria-hidden />
        </>
      }
    >
      {(close) => (
        <>
          <ul className="items" aria-label="Views">
            <li>
              <button type="button" aria-current={isPlain} onClick={() => close(() => onOpen(""))}>
                {isPlain ? <Check aria-hidden /> : <span className="gap" />}
                <span>All positions</span>
              </button>
            </li>
            {views.map((view) => {
              const title = view.name || "Untitled view"
              return (
                <li key={view.id} className="view-item">
                  <button
                    type="button"
                    aria-current={view === open}
                    title={describeView(view.view, columns)}
                    onClick={() => close(() => onOpen(view.view))}
                  >
                    {view === open ? <Check aria-hidden /> : <span className="gap" />}
                    <span className="view-title">{title}</span>
                    {view.conflicts && <span className="tag doubtful">conflict</span>}
                  </button>
                  {canEdit && (
                    <>
                      <button
                        type="button"
                        className="icon"
                        aria-label={`Rename ${title}`}
                        title="Rename"
                        onClick={() => close(() => onRename(view))}
                      >
                        <Pencil aria-hidden />
                      </button>
                      <button
                        type="button"
                        className="icon"
                        aria-label={`Update ${title} to the current view`}
                        title="Update to the current view"
                        disabled={view === open}
                        onClick={() => close(() => onUpdate(view))}
                      >
                        <RefreshCw aria-hidden />
                      </button>
                      <button
                        type="button"
                        className="icon danger"
                        aria-label={`Delete ${title}`}
                        title="Delete"
                        onClick={() => close(() => onDelete(view))}
                      >
                        <Trash2 aria-hidden />
                      </button>
                    </>
                  )}
                </li>
              )
            })}
          </ul>
          {canEdit && (
            <ul className="items more">
              <li>
                <button type="button" onClick={() => close(onSave)}>
                  <BookmarkPlus aria-hidden /> Save the current view…
                </button>
              </li>
            </ul>
          )}
        </>
      )}
    </Menu>
  )
}
