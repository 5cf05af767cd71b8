/** What a scenario becomes if the newer changes of its plan are merged into it, computed from the documents, so that it works offline. */
import { next as A } from "@automerge/automerge/slim"
import { readPlainColumns } from "./own-columns"
import { readConflicts, readPosition, readSettingsState, rowAt, rowsOf, type Setting } from "./schema"
import { compareWithVersion, touchedSince, type VersionComparison } from "./version-comparison"

/** A position with a new conflict. */
export interface NewConflict {
  id: string
  designation: string
  /** Keys of the fields that both documents have changed. */
  fields: readonly string[]
}

export interface UpdatePreview extends VersionComparison {
  conflicts: readonly NewConflict[]
  /** Settings that both documents have changed. */
  settingConflicts: readonly Setting[]
  /** Ids of positions that the plan has deleted and the scenario has changed. They are deleted. */
  losses: readonly string[]
}

/**
 * Previews the merge of changes of the plan. `base`: the hexadecimal heads of what both have in common. `null` if the document does not have
 * them.
 */
export function previewUpdate(
  doc: A.Doc<unknown>,
  changes: readonly A.Change[],
  base: readonly string[],
  yearStart: string,
): UpdatePreview | null {
  // A clone shares its rows with the document, whose conflicts would be read instead.
  const [merged] = A.applyChanges(A.load<unknown>(A.save(doc)), [...changes])
  const result = compareWithVersion(merged, A.getHeads(doc), yearStart)
  if (!result || !A.hasHeads(doc, [...base])) return null
  const own = touchedSince(doc, base)
  const deleted = result.comparison.positions.filter(({ scenario }) => scenario === "deleted")
  return {
    ...result,
    conflicts: newConflicts(doc, merged, own.ids),
    settingConflicts: newSettingConflicts(doc, merged),
    losses: deleted.filter(({ id }) => own.ids.has(id)).map(({ id }) => id),
  }
}

/** Only what the scenario itself has changed can be in a conflict with the plan. */
function newConflicts(before: A.Doc<unknown>, after: A.Doc<unknown>, ids: ReadonlySet<string>): NewConflict[] {
  const [rows, columns] = [rowsOf(after), readPlainColumns(after)]
  return [...ids].flatMap((id) => {
    const position = readPosition(id, rowAt(rows, id), columns)
    if (!position) return []
    const known = readConflicts(before, id, columns) ?? {}
    const found = Object.entries(readConflicts(after, id, columns) ?? {})
    const fields = found.filter(([key, conflict]) => !hasValues(known, key, conflict?.losing.length ?? 0)).map(([key]) => key)
    return fields.length > 0 ? [{ id, designation: position.designation, fields }] : []
  })
}

/** Whether a field had a conflict with at least this many values. */
function hasValues(conflicts: Partial<Record<string, { losing: readonly unknown[] }>>, key: string, count: number): boolean {
  const known = conflicts[key]
  return known !== undefined && known.losing.length >= count
}

function newSettingConflicts(before: A.Doc<unknown>, after: A.Doc<unknown>): Setting[] {
  const [known, found] = [readSettingsState(before).conflicts, readSettingsState(after).conflicts]
  return (Object.keys(found ?? {}) as Setting[]).filter((key) => !known?.[key])
}
