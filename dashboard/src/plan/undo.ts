/**
 * Undo and redo of the user's own actions.
 *
 * An action is recorded as the heads before and after each of its changes and the places that it changed. Undo writes the earlier values of these places
 * again, read from the document's history, with all values of conflicts and all fields. Undo creates an action itself; redo undoes it.
 *
 * A place that another user has changed since stays unchanged.
 */
import { next as A } from "@automerge/automerge/slim"
import { decodeHeads, type UrlHeads } from "@automerge/automerge-repo/slim"
import { APPROVAL_KEYS, recordsApproval } from "./approval"
import { COMMENTS, type CommentAddress, commentRegister, revertComment } from "./comments"
import { type Plan, updateInfoRegisters, withFields } from "./edit"
import {
  hasEqualValues,
  operationsIn,
  parseOperationId,
  type Register,
  type RegisterWrite,
  RowReader,
  readRegister,
  toPlainValue,
  writeRegisters,
} from "./multi-value-register"
import type { Place } from "./root-map"
import { type FieldValue, fieldRegister, type Setting } from "./schema"

/** The places that an action changed. */
export interface Targets {
  /** Ids of the positions whose field changed, by field. */
  cells?: Record<string, readonly string[]>
  /** Ids of positions that were added or deleted. */
  rows?: readonly string[]
  settings?: readonly Setting[]
  /** Places in the shared maps of the plan. */
  places?: readonly Place[]
  /** Comments that were added, edited or deleted. */
  comments?: readonly CommentAddress[]
}

/** One change of an action. A large action consists of several, so that the page stays responsive. */
export interface ActionPart extends Targets {
  before: UrlHeads
  after: UrlHeads
}

/** One action of the user, however many cells it changed. */
export interface Action {
  /** Stays the same while parts are written or reverted. */
  id: string
  /** The action as a noun: `paste of 12 cells`. */
  label: string
  parts: readonly ActionPart[]
}

/** A place that stays unchanged. */
export interface KeptPlace {
  /** `null` for a setting, or a place in a shared map. */
  id: string | null
  /** `null` for a whole position. */
  field: string | null
  place?: Place
  /** Designation of the position. */
  name: string
  /** `deleted`: the position no longer exists. `changed`: another user has changed it since. */
  reason: "changed" | "deleted"
}

export interface Reverted {
  /** Reverts this revert; `null` if nothing was reverted. */
  inverse: ActionPart | null
  kept: KeptPlace[]
}

/** Whether an actor belongs to this user's page. */
export type IsOwn = (actor: string) => boolean

/** The ids of many changed cells by field. A status that records an approval changes its record as well. */
export function groupCells(cells: Iterable<{ id: string; field: string; value: FieldValue }>): Record<string, string[]> {
  const groups: Record<string, string[]> = {}
  for (const { id, field, value } of cells) {
    for (const key of recordsApproval(field, value) ? [field, ...APPROVAL_KEYS] : [field]) {
      groups[key] ??= []
      groups[key].push(id)
    }
  }
  return groups
}

/** The parts of an action that the document contains. After a crash, the local copy may be older than the recorded actions. */
export const containedParts = (plan: Pick<Plan, "doc">, { parts }: Pick<Action, "parts">): readonly ActionPart[] =>
  parts.filter(({ before, after }) => A.getMissingDeps(plan.doc(), [...decodeHeads(before), ...decodeHeads(after)]).length === 0)

const isRecord = (field: string): boolean => (APPROVAL_KEYS as readonly string[]).includes(field)

/** Bookkeeping fields, which every edit writes. */
const UPDATE_INFO = ["updatedAt", "updatedBy"]

/**
 * Reverts a part of an action except for places that other users have changed since. `what`: for the message, such as `undid paste of 12 cells`.
 * `isKnownLatest`: nothing has changed the document since the action, except for its other parts that were reverted.
 */
export function revertPart(plan: Plan, part: ActionPart, what: string, author: string, isOwn: IsOwn, isKnownLatest = false): Reverted {
  const { before, after, cells = {}, rows = [], settings = [], places = [], comments = [] } = part
  const start = plan.heads()
  const doc = plan.doc()
  const [now, then, original] = [new RowReader(doc), new RowReader(doc, after), new RowReader(doc, before)]
  const kept: KeptPlace[] = []
  const done = {
    cells: {} as Record<string, string[]>,
    rows: [] as string[],
    settings: [] as Setting[],
    places: [] as Place[],
    comments: [] as CommentAddress[],
  }
  const isLatest = isKnownLatest || (start.length === after.length && start.every((head) => after.includes(head)))
  /** Whether a place still has the values that the action gave it, and no other user wrote them. */
  const isUntouched = (current: Register, written: () => Register): boolean => {
    if (isLatest) return true
    const own = written()
    const known = new Set(operationsIn(own))
    const hasForeign = [...operationsIn(current)].some((operation) => !known.has(operation) && !isOwn(parseOperationId(operation)[1]))
    return !hasForeign && hasEqualValues(withoutUpdateInfo(current), withoutUpdateInfo(own))
  }

  const writes: RegisterWrite[] = []
  const restored: RegisterWrite[] = []
  const info = updateInfoRegisters(author)
  for (const id of rows) {
    // Reading thousands of whole rows takes long.
    if (isLatest && now.exists(id) && !original.exists(id)) {
      writes.push({ path: ["positions", id], register: [] })
      done.rows.push(id)
      continue
    }
    const [current, was] = [now.row(id), original.row(id)]
    if (was.length === 0) {
      // The action added the position.
      if (current.length === 0) continue
      if (!isUntouched(current, () => then.row(id))) kept.push({ id, field: null, name: nameOf(current), reason: "changed" })
      else {
        writes.push({ path: ["positions", id], register: [] })
        done.rows.push(id)
      }
    } else if (current.length > 0) kept.push({ id, field: null, name: nameOf(current), reason: "changed" })
    else {
      restored.push({ path: ["positions", id], register: withFields(was, info) })
      done.rows.push(id)
    }
  }
  const byRow = new Map<string, RegisterWrite[]>()
  const keepsStatus = new Set<string>()
  for (const [field, ids] of Object.entries(cells)) {
    const reverted: string[] = []
    for (const id of ids) {
      // The record of an approval stays with its status.
      if (isRecord(field) && keepsStatus.has(id)) continue
      if (!now.exists(id)) {
        kept.push({ id, field, name: nameOf(original.row(id)), reason: "deleted" })
        continue
      }
      if (!isUntouched(now.field(id, field), () => then.field(id, field))) {
        kept.push({ id, field, name: nameOf(now.row(id)), reason: "changed" })
        if (field === "status") keepsStatus.add(id)
        continue
      }
      const write = { path: ["positions", id, field], register: original.field(id, field) }
      reverted.push(id)
      byRow.set(id, [...(byRow.get(id) ?? []), write])
    }
    if (reverted.length > 0) done.cells[field] = reverted
  }
  for (const [id, fields] of byRow) writes.push(...fields, ...info.map(([key, register]) => ({ path: ["positions", id, key], register })))
  for (const key of settings) {
    if (!isUntouched(readRegister(doc, [key]), () => readRegister(doc, [key], after))) {
      kept.push({ id: null, field: key, name: "", reason: "changed" })
      continue
    }
    writes.push({ path: [key], register: readRegister(doc, [key], before) })
    done.settings.push(key)
  }
  for (const place of places) {
    if (!isUntouched(readRegister(doc, place), () => readRegister(doc, place, after))) {
      kept.push({ id: null, field: place[0], place, name: "", reason: "changed" })
      continue
    }
    writes.push({ path: place, register: readRegister(doc, place, before) })
    done.places.push(place)
  }

  for (const address of comments) {
    const { position: id } = address
    const reason = !now.exists(id)
      ? "deleted"
      : !isUntouched(commentRegister(now, address), () => commentRegister(then, address))
        ? "changed"
        : null
    if (reason === null) done.comments.push(address)
    else kept.push({ id, field: COMMENTS, name: nameOf((reason === "deleted" ? original : now).row(id)), reason })
  }

  const message = `${author}: ${what}`
  if (writes.length > 0) writeRegisters(plan, start, writes, message)
  // Written at the heads after the deletion, so that edits which it discarded stay listed for review.
  if (restored.length > 0) writeRegisters(plan, after, restored, message)
  for (const address of done.comments) revertComment(plan, address, before, message)
  if (writes.length === 0 && restored.length === 0 && done.comments.length === 0) return { inverse: null, kept }
  return { inverse: { before: start, after: plan.heads(), ...done }, kept }
}

/** A register of rows without the fields that every edit writes. Other registers stay as they are. */
const withoutUpdateInfo = (register: Register): Register =>
  register.map(({ operation, value }) => ({
    operation,
    value:
      value.type === "map" ? { type: "map", entries: new Map([...value.entries].filter(([key]) => !UPDATE_INFO.includes(key))) } : value,
  }))

function nameOf(row: Register): string {
  const shown = fieldRegister(row, "designation").at(-1)
  return String((shown && toPlainValue(shown.value)) ?? "")
}
