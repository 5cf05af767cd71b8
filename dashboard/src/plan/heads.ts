/** Heads of a document. */
import { next as A } from "@automerge/automerge/slim"

/** Whether a document has all changes up to these heads. `A.hasHeads` is slow: it reconstructs each of the changes. */
export function containsHeads(doc: A.Doc<unknown>, heads: A.Heads): boolean {
  const missing = new Set(A.getMissingDeps(doc, heads))
  return !heads.some((head) => missing.has(head))
}
