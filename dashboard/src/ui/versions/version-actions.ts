/** The user's actions on named versions: each is recorded for undo, and reported in a message. */
import type { UrlHeads } from "@automerge/automerge-repo/slim"
import { addVersion, deleteVersion, type NamedVersion, renameVersion, versionPlace } from "../../plan/versions"
import { BOTH_KEPT, type PlaceActionsOptions } from "../place-actions"

export function versionActions({ store, author, showToast, undoButton }: PlaceActionsOptions) {
  const { plan, undoStack } = store
  return {
    /** `heads`: hexadecimal. */
    nameVersion(name: string, heads: readonly string[]): void {
      const { action } = undoStack.record(
        `naming of the version “${name}”`,
        () => addVersion(plan, name, heads, author),
        (id) => ({ places: [versionPlace(id)] }),
      )
      showToast(`Named the version “${name}” for everybody.`, ...undoButton(action))
    },
    /** `base`: the heads at which the user saw the name. */
    renameVersion({ id, name }: NamedVersion, next: string, base: UrlHeads): void {
      const { result: isContested, action } = undoStack.record(
        `renaming of the version “${name}”`,
        () => renameVersion(plan, id, next, author, base),
        () => ({ places: [versionPlace(id, "name")] }),
      )
      if (isContested) showToast(BOTH_KEPT)
      else showToast(`Renamed the version to “${next}”.`, ...undoButton(action))
    },
    deleteVersion({ id, name }: NamedVersion): void {
      const { action } = undoStack.record(
        `deletion of the version “${name}”`,
        () => deleteVersion(plan, id, name, author),
        () => ({ places: [versionPlace(id)] }),
      )
      showToast(`Deleted the name of the version “${name}”.`, ...undoButton(action))
    },
  }
}

export type VersionActions = ReturnType<typeof versionActions>
