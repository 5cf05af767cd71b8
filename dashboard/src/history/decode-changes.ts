/** Decodes the changes of a document for the change log. */
import { next as A } from "@automerge/automerge/slim"

/** A decoded change, and the counter of its last operation. */
export interface DecodedChange {
  change: A.DecodedChange
  maxOp: number
}

/**
 * Decodes the changes since the given heads. Automerge cannot decode a change that contains an integer beyond the safe range of JavaScript;
 * such a change is returned without its operations.
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
