/** What the user decides about in the review panel: discarded edits, unsaved drafts, and dismissed items. */
import { decodeHeads, encodeHeads, type UrlHeads } from "@automerge/automerge-repo/slim"
import { useCallback, useMemo, useRef, useState } from "react"
import type { DeletedEvent, DiscardedEdit } from "../history/events"
import type { PositionAtHeads } from "../plan/edit"
import type { ColumnKey } from "../plan/fields"
import { newId } from "../plan/id"
import { parseInput } from "../plan/input"
import { shownValue } from "../plan/schema"
import { readDismissed, saveDismissed } from "../sync/dismissed-edits"
import type { PlanSnapshot, PlanStore } from "../sync/plan-store"
import { addUnsavedDraft, readUnsavedDrafts, removeUnsavedDraft, type UnsavedDraft } from "../sync/unsaved-drafts"
import type { TypedText } from "./grid/grid-props"
import type { PlanActions } from "./plan-actions"
import type { DiscardedEditItem, DraftItem } from "./ReviewPanel"
import type { ShowToast } from "./use-toasts"

interface Options {
  store: PlanStore
  snapshot: PlanSnapshot
  actions: PlanActions
  showToast: ShowToast
}

export interface Review {
  discardedEdits: readonly DiscardedEditItem[]
  drafts: readonly DraftItem[]
  /** Keys of the items that the user has dismissed. */
  dismissed: ReadonlySet<string>
  /** Keeps the text that was typed into a position which somebody deleted. `text`: `null` if there is none. */
  onDeletedWhileEditing: (base: PositionAtHeads, field: ColumnKey, text: string | null) => void
  /** Keeps the text that is being typed, because the page is being closed; `null`: the page is back. */
  onClosing: (left: TypedText | null) => void
  onApplyDraft: (item: DraftItem) => Promise<void>
  onDiscardDraft: (draft: UnsavedDraft) => void
  onRestore: (edit: DiscardedEdit) => void
  onRestorePositions: (deleted: readonly DeletedEvent[]) => void
  onDismiss: (item: { key: string }) => void
}

/** Drafts that were kept before. A text that could be saved when the page was closed is none. */
function openDrafts(store: PlanStore): readonly UnsavedDraft[] {
  const { owner } = store.syncStatus
  const { settings } = store.readSettings()
  const { columns } = store.getSnapshot()
  for (const draft of readUnsavedDrafts(owner, store.id)) {
    const position = store.get(draft.id)
    const input = parseInput(columns.known(draft.field), draft.text, settings)
    const isSaved = position !== undefined && "value" in input && shownValue(position, draft.field) === input.value
    if (draft.isClosed && isSaved) removeUnsavedDraft(owner, store.id, draft)
  }
  return readUnsavedDrafts(owner, store.id)
}

export function useReview({ store, snapshot, actions, showToast }: Options): Review {
  const { positions, columns, settings } = snapshot
  const { owner } = store.syncStatus
  const [dismissed, setDismissed] = useState(() => readDismissed(owner, store.id))
  const [drafts, setDrafts] = useState(() => openDrafts(store))
  /** The text of the open editor, while the page is being closed. */
  const closing = useRef<UnsavedDraft | null>(null)
  const hasItems = snapshot.discardedEdits.length + drafts.length > 0
  const positionsById = useMemo(
    () => new Map((hasItems ? positions : []).map((position) => [position.id, position])),
    [positions, hasItems],
  )
  const discardedEdits = useMemo(
    () =>
      snapshot.discardedEdits.flatMap((edit) => {
        const position = positionsById.get(edit.position) ?? null
        const isShown = position !== null && columns.field(edit.field) !== null && !edit.nested
        const isApplied = isShown && shownValue(position, edit.field as ColumnKey) === edit.value
        return dismissed.has(edit.key) || isApplied ? [] : [{ edit, position }]
      }),
    [snapshot.discardedEdits, columns, positionsById, dismissed],
  )
  const draftItems = useMemo(
    () =>
      drafts.map(
        (item): DraftItem => ({
          draft: item,
          input: parseInput(columns.known(item.field), item.text, settings),
          position: positionsById.get(item.id) ?? null,
        }),
      ),
    [drafts, columns, positionsById, settings],
  )

  /** Heads at which a deleted position is complete, with the edits that its deletion discarded. */
  const headsWithRow = (id: string, before: readonly string[]): UrlHeads => {
    const edits = snapshot.discardedEdits.filter((edit) => edit.position === id).flatMap(({ heads }) => heads)
    return encodeHeads([...new Set([...before, ...edits])])
  }
  const onDeletedWhileEditing = useCallback(
    ({ position, heads }: PositionAtHeads, field: ColumnKey, text: string | null) => {
      if (text === null) return showToast(`Somebody deleted “${position.designation}” while you were editing it.`)
      const { id, designation } = position
      setDrafts(addUnsavedDraft(owner, store.id, { key: newId(), id, name: designation, heads: decodeHeads(heads), field, text }))
      showToast(`Somebody deleted “${designation}” while you were editing it. Your text is kept for review.`)
    },
    [store, owner, showToast],
  )
  const onClosing = useCallback(
    (left: TypedText | null) => {
      if (closing.current) removeUnsavedDraft(owner, store.id, closing.current)
      closing.current = left && {
        ...{ key: newId(), id: left.base.position.id, name: left.base.position.designation, heads: decodeHeads(left.base.heads) },
        ...{ field: left.field, text: left.text, isClosed: true },
      }
      if (closing.current) addUnsavedDraft(owner, store.id, closing.current)
    },
    [store, owner],
  )
  const onDiscardDraft = (item: UnsavedDraft) => setDrafts(removeUnsavedDraft(owner, store.id, item))
  return {
    discardedEdits,
    drafts: draftItems,
    dismissed,
    onDeletedWhileEditing,
    onClosing,
    onDiscardDraft,
    onApplyDraft: async ({ draft: item, input }) => {
      const { id, field } = item
      // The position may have changed after the draft was saved and before it was deleted.
      const before = await store.history?.request("headsBeforeDeletion", { position: id }).catch(() => null)
      const typed = "value" in input ? { field, value: input.value } : null
      if (store.get(id)) {
        if (typed) actions.setValue(id, field, typed.value)
      } else {
        const missing = actions.restore([{ id, heads: headsWithRow(id, before ?? item.heads), ...(typed && { override: typed }) }])
        if (missing.length > 0) return showToast(`“${item.name}” cannot be restored: it is missing from this copy of the plan.`)
      }
      // An invalid draft stays listed.
      if (typed) onDiscardDraft(item)
    },
    onRestore: ({ position: id, name, field, heads }) => {
      if (store.get(id)) return actions.restoreValue(id, field, encodeHeads(heads))
      actions.restore([{ id, heads: headsWithRow(id, heads) }])
      showToast(`Restored “${name}”.`)
    },
    onRestorePositions: (deleted) => {
      actions.restore(deleted.map(({ position: id, heads }) => ({ id, heads: headsWithRow(id, heads) })))
    },
    onDismiss: ({ key }) => {
      const next = new Set([...dismissed, key])
      saveDismissed(owner, store.id, next)
      setDismissed(next)
    },
  }
}
