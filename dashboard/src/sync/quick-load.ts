/** Loads a whole document. For thousands of positions this is the longest task of the page. */
import { next as A } from "@automerge/automerge/slim"

/** Where Automerge keeps its own data about a document. */
const META = Symbol.for("_am_meta")

/**
 * Loads the bytes of a document. `A.load` takes half as long as loading into an empty document, which reports every value as a patch. It
 * throws if changes are missing.
 *
 * automerge-repo asks for the patches since the empty document all the same, which takes as long again, and at this time nobody listens to
 * them. The document therefore says that there are none; Automerge looks there first.
 */
export function loadWhole<T>(bytes: Uint8Array): A.Doc<T> {
  const doc = A.load<T>(bytes)
  const meta = (doc as unknown as Record<symbol, { mostRecentPatch?: unknown } | undefined>)[META]
  if (meta) meta.mostRecentPatch = { before: [], after: A.getHeads(doc), patches: [] }
  return doc
}
