/** What two documents of a family, such as a plan and its scenario, have in common. */
import { next as A } from "@automerge/automerge/slim"

/** The changes of `other` that `doc` does not have, each after those that it builds on. */
export const changesAdded = (doc: A.Doc<unknown>, other: A.Doc<unknown>): A.Change[] =>
  A.getBackend(doc).getChangesAdded(A.getBackend(other))

/** The hexadecimal heads of the changes that both documents have. */
export function commonHeads(one: A.Doc<unknown>, other: A.Doc<unknown>): string[] {
  const changes = A.getChangesMetaSince(one, [])
  const missing = new Set(
    A.getMissingDeps(
      other,
      changes.map(({ hash }) => hash),
    ),
  )
  const common = changes.filter(({ hash }) => !missing.has(hash))
  const followed = new Set(common.flatMap(({ deps }) => deps))
  return common.map(({ hash }) => hash).filter((hash) => !followed.has(hash))
}
