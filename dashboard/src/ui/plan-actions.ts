/** The user's actions on a plan: each is recorded for undo, and reported in a message. */
import { type CellChanges, portionsOf, type Refusal } from "../grid/cell-changes"
import { countCells, countPositions } from "../grid/range"
import { APPROVAL_KEYS, APPROVED } from "../plan/approval"
import { COMMENTS } from "../plan/comments"
import {
  addPositions,
  approvePosition,
  changeCells,
  type DeletedPosition,
  deletePositions,
  type NewPosition,
  type PositionAtHeads,
  resolveConflict,
  resolveSettingConflict,
  restoreFieldValue,
  restorePositions,
  type SettingsAtHeads,
  setField,
  updateSettings,
} from "../plan/edit"
import type { ColumnKey } from "../plan/fields"
import { formatFieldValue } from "../plan/format"
import { importEdits } from "../plan/import-edits"
import { type FieldValue, type Position, SETTING_LABELS, SETTINGS, type Setting, type Settings, shownValue } from "../plan/schema"
import type { ImportChanges } from "../plan/table-import/review"
import { type Action, groupCells, type KeptPlace } from "../plan/undo"
import type { PlanStore } from "../sync/plan-store"
import type { RevertedAction } from "../sync/undo-stack"
import { columnActions } from "./column-actions"
import { commentActions } from "./comments/comment-actions"
import { BOTH_KEPT, placeActions, placeLabel } from "./place-actions"
import type { ToastAction } from "./Toast"
import { versionActions } from "./versions/version-actions"

/** An action on cells in the words of its message: `Pasted`, `paste`. */
export interface CellAction {
  done: "Pasted" | "Cleared" | "Filled" | "Cut" | "Changed"
  noun: "paste" | "clearing" | "filling" | "cut" | "bulk edit"
}

export interface PlanActionsOptions {
  store: PlanStore
  author: string
  showToast: (text: string, ...actions: ToastAction[]) => void
  /** Shows all values that an action refused. */
  showRefusals: (title: string, refusals: readonly Refusal[]) => void
}

export function planActions({ store, author, showToast, showRefusals }: PlanActionsOptions) {
  const { plan, undoStack } = store
  const nameOf = (id: string) => store.get(id)?.designation ?? ""
  const columns = () => store.getSnapshot().columns
  const nounOf = (field: string) => columns().noun(field)
  /** The value that a cell shows, in a sentence. */
  const shownText = (position: Position, field: ColumnKey) => formatFieldValue(columns().known(field), shownValue(position, field))
  const names = (rows: readonly { designation: string }[]) =>
    rows.length === 1 ? `“${rows[0]?.designation}”` : countPositions(rows.length)

  const redo = () => undoStack.redo(author).then((reverted) => report(reverted, "Redid", "redo"), failed("Redo"))
  const undo = () => undoStack.undo(author).then((reverted) => report(reverted, "Undid", "undo"), failed("Undo"))
  /** Reports that a large action has ended with an error. Offers to undo what it has written. */
  function failed(what: string, label: string | null = null): (error: unknown) => void {
    return (error) => {
      const reason = error instanceof Error ? error.message : String(error)
      showToast(`${what} failed: ${reason}`, ...undoButton(label === null ? null : undoStack.find(label)))
    }
  }
  function report(reverted: RevertedAction | null, done: "Undid" | "Redid", verb: "undo" | "redo"): void {
    const nothing = `There is nothing to ${verb}.`
    if (!reverted) return void showToast(nothing)
    const { hasChanged, label, kept } = reverted
    const left = describeKept(kept, verb)
    if (!hasChanged) return void showToast(left || nothing)
    const text = [`${done} ${label}.`, left].filter(Boolean).join(" ")
    showToast(text, done === "Undid" ? { label: "Redo", run: () => void redo() } : { label: "Undo", run: () => void undo() })
  }
  /** Why places stay as they are, with the values of single cells. */
  function describeKept(kept: readonly KeptPlace[], verb: "undo" | "redo"): string {
    const texts: string[] = []
    const deleted = kept.filter(({ reason }) => reason === "deleted")
    const rows = kept.filter(({ reason, field }) => reason === "changed" && field === null)
    // The record of an approval is part of its status.
    const isRecord = (field: string) => (APPROVAL_KEYS as readonly string[]).includes(field)
    const cells = kept.filter(({ reason, field }) => reason === "changed" && field !== null && !isRecord(field))
    const [gone] = deleted
    const goneCount = new Set(deleted.map(({ id }) => id)).size
    if (goneCount === 1) texts.push(`“${gone?.name}” was deleted. There is nothing to ${verb}.`)
    else if (goneCount > 1) texts.push(`${countPositions(goneCount)} were deleted since.`)
    if (rows.length === 1) texts.push(`“${rows[0]?.name}” has been changed since and was kept.`)
    else if (rows.length > 1) texts.push(`${countPositions(rows.length)} have been changed since and were kept.`)
    const [cell] = cells
    if (cells.length === 1 && cell) {
      const position = cell.id === null ? undefined : store.get(cell.id)
      const value = position && cell.field && columns().field(cell.field) ? ` ${shownText(position, cell.field as ColumnKey)}` : ""
      const what = cell.place
        ? placeLabel(cell.place, columns())
        : cell.id === null
          ? `${SETTING_LABELS[cell.field as Setting]} of the plan`
          : `${columns().label(cell.field ?? "")} of “${cell.name}”`
      texts.push(`Somebody else has changed ${what} since. It stays${value || " as it is"}.`)
    } else if (cells.length > 1) texts.push(`Others have changed ${countCells(cells.length)} since. They stay as they are.`)
    return texts.join(" ")
  }
  const undoButton = (action: Action | null): ToastAction[] => {
    if (!action) return []
    const run = () => undoStack.undoAction(action, author).then((reverted) => report(reverted, "Undid", "undo"), failed("Undo"))
    return [{ label: "Undo", run: () => void run() }]
  }

  /** Reports the value of a field after concurrent edits. */
  const showConflict = (id: string, field: ColumnKey) => {
    const now = store.readPosition(id)?.position
    if (now)
      showToast(now.conflicts?.[field] ? BOTH_KEPT : `Somebody else changed this at the same time. It is now ${shownText(now, field)}.`)
  }
  const editCell = (id: string, field: ColumnKey, value: FieldValue, edit: () => void, noun = "edit") =>
    undoStack.record(`${noun} of ${nounOf(field)} of “${nameOf(id)}”`, edit, () =>
      store.get(id) ? { cells: groupCells([{ id, field, value }]) } : {},
    ).action

  /** A field in the message of a change: its key, or the title of a column of the plan. */
  const labelInMessage = (field: string) => columns().column(field)?.label ?? field
  const comments = commentActions({ store, author, showToast, undoButton })
  return {
    undo,
    redo,
    ...placeActions({ store, author, showToast, undoButton }),
    ...columnActions({ store, author, showToast, undoButton }),
    ...versionActions({ store, author, showToast, undoButton }),
    ...comments,
    setCell(id: string, field: ColumnKey, value: FieldValue, base: PositionAtHeads | null): void {
      const name = store.get(id)?.designation
      const action = editCell(id, field, value, () => setField(plan, id, field, value, author, base, labelInMessage(field)))
      if (base && !store.get(id)) showToast(`Somebody deleted “${base.position.designation}”. Your edit is kept for review.`)
      else if (base) showConflict(id, field)
      else if (name !== undefined) showToast(`${columns().label(field)} of “${name}” changed.`, ...undoButton(action))
    },
    /** Applies a paste, a fill or a clear as one action. `onAdded` receives the ids of added positions. */
    changeCells(changes: CellChanges, { done, noun }: CellAction, onAdded?: (ids: readonly string[]) => void): void {
      const { cells, additions, refusals, notes } = changes
      const count = countCells(cells.length)
      const added = additions.length === 0 ? "" : `added ${countPositions(additions.length)}`
      const what = [...(cells.length > 0 || added === "" ? [`${done.toLowerCase()} ${count}`] : []), ...(added ? [added] : [])].join(
        " and ",
      )
      const refused = refusals.length === 0 ? "" : describeRefusals(refusals)
      if (cells.length === 0 && additions.length === 0) {
        if (refused) showToast(`Nothing was ${done.toLowerCase()}. ${refused}`, ...refusalButton(refusals, done))
        return
      }
      const label = cells.length > 0 ? `${noun} of ${count}` : `${noun} of ${countPositions(additions.length)}`
      const created = Date.now()
      const allAdded: string[] = []
      const edits = portionsOf(changes).map((portion) => () => {
        const first = created - allAdded.length
        const rows = changeCells(plan, portion.cells, portion.additions, what, author, first)
        allAdded.push(...rows)
        return { cells: groupCells(portion.cells), rows }
      })
      const finish = (action: Action | null) => {
        const text = [`${what.charAt(0).toUpperCase()}${what.slice(1)}.`, ...notes, refused].filter(Boolean).join(" ")
        showToast(text, ...undoButton(action), ...refusalButton(refusals, done))
        if (allAdded.length > 0) onAdded?.(allAdded)
      }
      const [edit] = edits
      if (edits.length === 1 && edit) return void finish(undoStack.record(label, edit, (targets) => targets).action)
      showToast(`Changing ${cells.length > 0 ? count : countPositions(additions.length)}…`)
      void undoStack.recordPortions(label, edits).then(finish, failed(`The ${label}`, label))
    },
    resolve(id: string, field: ColumnKey, operation: string): void {
      const name = nameOf(id)
      const action = editCell(
        id,
        field,
        null,
        () => resolveConflict(plan, id, field, operation, author, labelInMessage(field)),
        "resolution",
      )
      showToast(`Conflict in ${nounOf(field)} of “${name}” resolved.`, ...undoButton(action))
    },
    resolveSetting(key: Setting, operation: string): void {
      const label = `resolution of ${SETTING_LABELS[key].toLowerCase()} of the plan`
      undoStack.record(
        label,
        () => resolveSettingConflict(plan, key, operation, author),
        () => ({ settings: [key] }),
      )
    },
    /** `base`: the settings when the dialog was opened. */
    changeSettings(next: Settings, base: SettingsAtHeads): void {
      const changed = SETTINGS.filter((key) => next[key] !== base.settings[key])
      if (changed.length === 0) return
      const { result: isContested } = undoStack.record(
        `change of ${changed.map((key) => SETTING_LABELS[key].toLowerCase()).join(", ")} of the plan`,
        () => updateSettings(plan, Object.fromEntries(changed.map((key) => [key, next[key]])), author, base),
        () => ({ settings: changed }),
      )
      if (isContested) showToast(BOTH_KEPT)
    },
    add(position: NewPosition): void {
      const label = `addition of “${position.designation}”`
      undoStack.record(
        label,
        () => addPositions(plan, [position], author),
        (rows) => ({ rows }),
      )
      showToast(`Added “${position.designation}”.`)
    },
    /**
     * Writes an import as one action. `onProgress` receives the number of finished positions, and stops the import by returning `false`.
     * Returns the label of the action. `finished` also resolves after an error, which is reported.
     */
    importTable(changes: ImportChanges, onProgress: (done: number) => boolean): { label: string; total: number; finished: Promise<void> } {
      const { additions, cells, deletions } = changes
      const changed = new Set(cells.map(({ id }) => id)).size
      const total = additions.length + changed + deletions.length
      const what = [
        ...(additions.length > 0 ? [`added ${names(additions)}`] : []),
        ...(changed > 0 ? [`updated ${countPositions(changed)}`] : []),
        ...(deletions.length > 0 ? [`deleted ${countPositions(deletions.length)}`] : []),
      ].join(", ")
      const label = `import of ${total === additions.length ? names(additions) : countPositions(total)}`
      const created = Date.now()
      const { edits, sizes } = importEdits(plan, changes, what, author, created)
      const finish = (action: Action, done: number) => {
        const text = `${what.charAt(0).toUpperCase()}${what.slice(1)}.`
        showToast(
          done === total ? text : `Import stopped: ${done.toLocaleString()} of ${countPositions(total)} imported.`,
          ...undoButton(action),
        )
      }
      const [edit] = edits
      if (edits.length === 1 && edit) {
        try {
          const { action } = undoStack.record(label, edit, (targets) => targets)
          onProgress(total)
          if (action) finish(action, total)
        } catch (error) {
          failed(`The ${label}`)(error)
        }
        return { label, total, finished: Promise.resolve() }
      }
      let done = 0
      const finished = undoStack
        .recordPortions(label, edits, (portions) => {
          done += sizes[portions - 1] ?? 0
          return onProgress(done)
        })
        .then((action) => finish(action, done), failed(`The ${label}`, label))
      return { label, total, finished }
    },
    /** Undoes an import that was interrupted. Returns whether nothing of it is left to undo. */
    async undoImport(label: string): Promise<boolean> {
      const action = undoStack.find(label)
      if (!action) return true
      try {
        report(await undoStack.undoAction(action, author), "Undid", "undo")
        return true
      } catch (error) {
        failed("Undo")(error)
        return false
      }
    },
    remove(ids: readonly string[]): void {
      const rows = ids.flatMap((id): Position | [] => store.get(id) ?? [])
      if (rows.length === 0) return
      const existing = rows.map(({ id }) => id)
      const { action } = undoStack.record(
        `deletion of ${names(rows)}`,
        () => deletePositions(plan, existing, rows.length === 1 ? (rows[0]?.designation ?? "") : countPositions(rows.length), author),
        () => ({ rows: existing }),
      )
      showToast(`Deleted ${names(rows)}.`, ...undoButton(action))
    },
    /** Restores deleted positions. Returns the ids of rows that are missing from this copy. */
    restore(positions: readonly DeletedPosition[]): string[] {
      const rows = positions.map(({ id }) => id).filter((id) => !store.get(id))
      const label = `restoration of ${countPositions(rows.length)}`
      return undoStack.record(
        label,
        () => restorePositions(plan, positions, author),
        () => ({ rows }),
      ).result
    },
    restoreValue(id: string, field: string, heads: Parameters<typeof restoreFieldValue>[3]): void {
      // The comments that the position has now stay.
      if (field === COMMENTS) {
        comments.recoverComments(id, heads)
        return
      }
      const label = `recovery of ${nounOf(field)} of “${nameOf(id)}”`
      undoStack.record(
        label,
        () => restoreFieldValue(plan, id, field, heads, author, labelInMessage(field)),
        () => ({ cells: groupCells([{ id, field, value: store.get(id)?.status ?? null }]) }),
      )
    },
    /** Approves a position with its current budget. */
    approve(id: string): void {
      const name = nameOf(id)
      const { action } = undoStack.record(
        `approval of “${name}”`,
        () => approvePosition(plan, id, author),
        () => ({ cells: groupCells([{ id, field: "status", value: APPROVED }]) }),
      )
      showToast(`Approved “${name}”.`, ...undoButton(action))
    },
    /** Sets a field without a message. */
    setValue(id: string, field: ColumnKey, value: FieldValue): void {
      editCell(id, field, value, () => setField(plan, id, field, value, author, null, labelInMessage(field)))
    },
  }

  function refusalButton(refusals: readonly Refusal[], done: string): ToastAction[] {
    if (refusals.length < 2) return []
    return [{ label: `Show all ${refusals.length.toLocaleString()}`, run: () => showRefusals(`Not ${done.toLowerCase()}`, refusals) }]
  }
}

function describeRefusals(refusals: readonly Refusal[]): string {
  const [first] = refusals
  const reason = first ? `${first.cell}: ${first.reason}` : ""
  return refusals.length === 1
    ? `1 value was refused. ${reason}`
    : `${refusals.length.toLocaleString()} values were refused, the first: ${reason}`
}

export type PlanActions = ReturnType<typeof planActions>
