/** Splits an import into edits of the document, so that no task of the page is long. */
import { changeCells, deletePositions, type Plan } from "./edit"
import { newId } from "./id"
import type { ImportChanges } from "./table-import/review"
import { groupCells, type Targets } from "./undo"

/** Number of positions that one edit adds, changes or deletes. */
const PORTION = 25

/** The edits of an import, and the number of positions of each. */
export function importEdits(
  plan: Plan,
  { additions, cells, deletions }: ImportChanges,
  what: string,
  author: string,
  created: number,
): { edits: (() => Targets)[]; sizes: number[] } {
  const rows = new Map<string, ImportChanges["cells"]>()
  for (const cell of cells) {
    const row = rows.get(cell.id)
    if (row) row.push(cell)
    else rows.set(cell.id, [cell])
  }
  const edits: (() => Targets)[] = []
  const sizes: number[] = []
  const add = (size: number, edit: () => Targets) => {
    edits.push(edit)
    sizes.push(size)
  }
  const updated = portions([...rows.values()])
  const added = portions(additions.map((addition) => ({ id: shortId(), ...addition })))
  // A small import is one change.
  if (updated.length <= 1 && added.length <= 1 && (updated.length > 0 || added.length > 0)) {
    const changed = cells.filter(({ id }) => rows.has(id))
    add(rows.size + additions.length, () => ({
      rows: changeCells(plan, changed, added[0] ?? [], what, author, created),
      cells: groupCells(changed),
    }))
  } else {
    for (const portion of updated) {
      const changed = portion.flat()
      add(portion.length, () => {
        changeCells(plan, changed, [], what, author)
        return { cells: groupCells(changed) }
      })
    }
    for (const [at, portion] of added.entries())
      add(portion.length, () => ({ rows: changeCells(plan, [], portion, what, author, created - at * PORTION) }))
  }
  for (const portion of portions(deletions))
    add(portion.length, () => {
      deletePositions(plan, portion, `${portion.length} positions by an import`, author)
      return { rows: portion }
    })
  return { edits, sizes }
}

/** As long as the ids of the server. The ids of thousands of positions are kept for undo. */
const shortId = (): string => newId().slice(0, 14)

function portions<T>(all: readonly T[]): T[][] {
  const found: T[][] = []
  for (let at = 0; at < all.length; at += PORTION) found.push(all.slice(at, at + PORTION))
  return found
}
