/** Rows of a document at earlier heads. */
import { next as A } from "@automerge/automerge/slim"
import { encodeHeads } from "@automerge/automerge-repo/slim"
import { RowReader, toPlainValue } from "./multi-value-register"
import { rowAt, rowsOf } from "./schema"

/** Reading one row at earlier heads takes about as long as reading this many rows of the whole document there. */
const ROWS_PER_READ = 9

/**
 * The shown rows with these ids at the given hexadecimal heads, by id. Rows that did not exist are missing. The document must have the
 * heads.
 */
export function readRowsAt(doc: A.Doc<unknown>, ids: Iterable<string>, heads: readonly string[]): ReadonlyMap<string, unknown> {
  const wanted = [...ids]
  const isMost = wanted.length * ROWS_PER_READ > Object.keys(rowsOf(doc)).length
  const read = isMost ? viewReader(doc, heads) : registerReader(doc, heads)
  return new Map(wanted.map((id) => [id, read(id)] as const).filter(([, row]) => row !== undefined))
}

function viewReader(doc: A.Doc<unknown>, heads: readonly string[]): (id: string) => unknown {
  const rows = rowsOf(A.view(doc, [...heads]))
  return (id) => rowAt(rows, id)
}

function registerReader(doc: A.Doc<unknown>, heads: readonly string[]): (id: string) => unknown {
  const reader = new RowReader(doc, encodeHeads([...heads]))
  return (id) => {
    const shown = reader.row(id).at(-1)
    return shown && toPlainValue(shown.value)
  }
}
