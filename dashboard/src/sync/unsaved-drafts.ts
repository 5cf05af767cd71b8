/** Text that somebody was typing into a position when it was deleted: kept in this browser until they decide about it. */

import type { FieldKey } from "../plan/fields"
import { planKey } from "./storage-keys"

export interface UnsavedDraft {
  key: string
  /** The position, and what it was called. */
  id: string
  name: string
  /** The document's heads when it was seen last, in hexadecimal: there the position is, whole. */
  heads: string[]
  field: FieldKey
  /** As it was typed. */
  text: string
}

/** As earlier versions of this page have stored it: with the fields of the row, and without heads. */
interface Earlier {
  row: { id: string; designation: string }
}

const storageKey = (owner: string, plan: string) => planKey("lost", owner, plan)

export function readUnsavedDrafts(owner: string, plan: string): readonly UnsavedDraft[] {
  try {
    const read = JSON.parse(localStorage.getItem(storageKey(owner, plan)) ?? "[]") as unknown
    return Array.isArray(read) ? (read as (UnsavedDraft | (UnsavedDraft & Earlier))[]).map(upgrade) : []
  } catch {
    return []
  }
}

const upgrade = (draft: UnsavedDraft | (UnsavedDraft & Earlier)): UnsavedDraft =>
  "row" in draft
    ? { key: draft.key, id: draft.row.id, name: draft.row.designation, heads: [], field: draft.field, text: draft.text }
    : draft

/** Other tabs keep theirs at the same place. */
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

function save(owner: string, plan: string, all: readonly UnsavedDraft[]): readonly UnsavedDraft[] {
  try {
    if (all.length > 0) localStorage.setItem(storageKey(owner, plan), JSON.stringify(all))
    else localStorage.removeItem(storageKey(owner, plan))
  } catch {
    // Where nothing can be stored it lasts as long as the page.
  }
  return all
}
