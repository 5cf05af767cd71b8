/**
 * Text that a user was typing into a position when somebody deleted it, or when the page was closed. Kept in this browser until the user
 * applies or discards it.
 */

import type { ColumnKey } from "../plan/fields"
import { planKey } from "./storage-keys"
import { storeItem } from "./stored-items"

export interface UnsavedDraft {
  key: string
  /** Id and designation of the position. */
  id: string
  name: string
  /** Hexadecimal heads at which the position was last seen complete. */
  heads: string[]
  field: ColumnKey
  /** The text as typed. */
  text: string
  /** The page was closed. Absent: the position was deleted. */
  isClosed?: true
}

/** Format of earlier versions: with the fields of the row, without heads. */
interface LegacyDraft {
  row: { id: string; designation: string }
}

const storageKey = (owner: string, plan: string) => planKey("lost", owner, plan)

export function readUnsavedDrafts(owner: string, plan: string): readonly UnsavedDraft[] {
  try {
    const read = JSON.parse(localStorage.getItem(storageKey(owner, plan)) ?? "[]") as unknown
    return Array.isArray(read) ? (read as (UnsavedDraft | (UnsavedDraft & LegacyDraft))[]).map(upgrade) : []
  } catch {
    return []
  }
}

const upgrade = (draft: UnsavedDraft | (UnsavedDraft & LegacyDraft)): UnsavedDraft =>
  "row" in draft
    ? { key: draft.key, id: draft.row.id, name: draft.row.designation, heads: [], field: draft.field, text: draft.text }
    : draft

/** Reads the list again first: other tabs add drafts, too. */
export function addUnsavedDraft(owner: string, plan: string, draft: UnsavedDraft): readonly UnsavedDraft[] {
  return save(owner, plan, [...readUnsavedDrafts(owner, plan), draft])
}

export function removeUnsavedDraft(owner: string, plan: string, { key }: UnsavedDraft): readonly UnsavedDraft[] {
  return save(
    owner,
    plan,
    readUnsavedDrafts(owner, plan).filter((draft) => draft.key !== key),
  )
}

/** Without storage the drafts last as long as the page. */
function save(owner: string, plan: string, all: readonly UnsavedDraft[]): readonly UnsavedDraft[] {
  storeItem(storageKey(owner, plan), all.length > 0 ? JSON.stringify(all) : null)
  return all
}
