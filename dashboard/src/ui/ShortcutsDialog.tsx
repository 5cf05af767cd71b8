import { Dialog } from "./Dialog"

/** The keys of the page, by purpose. */
const SHORTCUTS: { title: string; keys: [keys: string, action: string][] }[] = [
  {
    title: "Page",
    keys: [
      ["Ctrl+K", "All commands"],
      ["/", "Search"],
      ["?", "These keys"],
      ["Ctrl+P", "Print the filtered positions"],
      ["Ctrl+Z", "Undo"],
      ["Ctrl+Shift+Z, Ctrl+Y", "Redo"],
    ],
  },
  {
    title: "Move and select",
    keys: [
      ["Arrows, Page Up, Page Down, Home, End", "Move"],
      ["Ctrl+arrows, Ctrl+Home, Ctrl+End", "Move to the edge of the list"],
      ["Shift with these keys", "Extend the selection"],
      ["Ctrl+A", "Select all cells"],
      ["Shift+Space, Ctrl+Space", "Select the rows, the columns"],
      ["Space", "Check the selected rows"],
      ["Left, Right on the head of a group", "Collapse, expand it"],
      ["Shift+Space on the head of a group", "Check its positions"],
      ["Escape", "Cancel the selection"],
      ["Shift+Left, Shift+Right on the head of a column", "Resize the column"],
    ],
  },
  {
    title: "Edit",
    keys: [
      ["Enter, F2, or typing", "Edit the cell"],
      ["Enter, Tab, Shift+Tab", "Commit and move down, right, left"],
      ["=40*1.1, 12L, 2.5 cr", "Amounts may be calculated and name a unit"],
      ["Ctrl+C, Ctrl+X, Ctrl+V", "Copy, cut, paste"],
      ["Ctrl+D", "Fill down"],
      ["Shift+F2", "Comments on the position"],
      ["Ctrl+Enter in a comment", "Add the comment"],
      ["Delete, Backspace", "Clear the selected cells"],
      ["Ctrl+Backspace, Ctrl+Delete", "Delete the checked or selected positions"],
    ],
  },
]

/** Lists the keyboard shortcuts. */
export function ShortcutsDialog({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title="Keyboard shortcuts" onClose={onClose}>
      {SHORTCUTS.map(({ title, keys }) => (
        <section key={title} className="shortcuts">
          <h3>{title}</h3>
          <dl>
            {keys.map(([key, action]) => (
              <div key={key}>
                <dt>
                  <kbd>{key}</kbd>
                </dt>
                <dd>{action}</dd>
              </div>
            ))}
          </dl>
        </section>
      ))}
    </Dialog>
  )
}
