/** The changes of a document, taken apart for the ledger. */
import { next as A } from "@automerge/automerge/slim"

/** A change, and the counter of its last operation. */
export interface DecodedChange {
  change: A.DecodedChange
  maxOp: number
}

/**
 * Takes changes apart, those since these heads. Automerge cannot take a change apart that holds an integer beyond what a JavaScript number
 * holds: of such a change everything is known but its operations.
 */
export function* decodeChangesSince(doc: A.Doc<unknown>, heads: A.Heads): Generator<DecodedChange> {
  let metas: Map<number, A.ChangeMetadata> | null = null
  for (const [at, bytes] of A.getChangesSince(doc, heads).entries()) {
    try {
      const change = A.decodeChange(bytes)
      yield { change, maxOp: change.startOp + change.ops.length - 1 }
    } catch (error) {
      metas ??= new Map(A.getChangesMetaSince(doc, heads).entries())
      const meta = metas.get(at)
      if (!meta) throw error
      yield { change: { ...meta, ops: [] } as unknown as A.DecodedChange, maxOp: meta.maxOp }
    }
  }
}
