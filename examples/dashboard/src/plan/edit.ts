/**
 * What people do to a plan, as changes of its document.
 *
 * Fields are assigned whole, so that two who set one at once see a conflict instead of one vanishing in the other's text. A
 * row is assigned whole only when it is made. Every change says who did what.
 */
import type { DocHandle, UrlHeads } from "@automerge/automerge-repo/slim"
import { newId } from "./id"
import {
  asField,
  type Field,
  type FieldValue,
  isSameSetting,
  isTwin,
  MAX_BUDGET,
  MAX_TEXT,
  type PlanDoc,
  type PlanState,
  type Position,
  type PositionDoc,
  readPlan,
  rowsOf,
  SETTINGS,
  type Setting,
  type Settings,
} from "./schema"
import { countCharacters, isBlank } from "./text"

/** A position to create. */
export interface NewPosition {
  designation: string
  department: string
  /** null: unknown. No key is stored then. */
  budget: number | null
  location: string
}

/** A row that was deleted, with all that brings it back. */
export interface Deleted extends NewPosition {
  id: string
  createdAt: number | null
}

/** What is edited. */
export type Plan = Pick<DocHandle<PlanDoc>, "doc" | "change" | "changeAt">

/** A position as somebody had it before them, and when that was. */
export interface Seen {
  position: Position
  heads: UrlHeads
}

/** The plan's settings as somebody had them before them, and when that was. */
export interface PlanSeen extends PlanState {
  heads: UrlHeads
}

/** Why a value cannot be taken, in words for whoever typed it; null: it can. */
export function problemWith(field: Field, value: FieldValue): string | null {
  if (field === "budget") {
    // An unknown budget.
    if (value === null) return null
    if (typeof value !== "number" || !Number.isFinite(value)) return "A budget is a number."
    if (value < 0) return "A budget cannot be below zero."
    return value > MAX_BUDGET ? "This number is too large." : null
  }
  const text = typeof value === "string" ? value : ""
  if (field === "designation" && isBlank(text)) return "A position needs a designation."
  return countCharacters(text) > MAX_TEXT ? `At most ${MAX_TEXT.toLocaleString()} characters fit.` : null
}

const rowOf = ({ designation, department, budget, location }: NewPosition, created: number, who: string): PositionDoc => ({
  designation,
  department,
  ...(budget !== null && { budget }),
  location,
  createdAt: new Date(created),
  updatedAt: new Date(),
  updatedBy: who,
})

/** Makes positions, in one change. The first of them comes first in the list. Returns their ids. */
export function add(plan: Plan, positions: readonly NewPosition[], who: string): string[] {
  const now = Date.now()
  const ids = positions.map(() => newId())
  const what = positions.length === 1 ? positions[0]?.designation : `${positions.length} positions`
  plan.change(
    (doc) => {
      // A document that somebody else began may have none.
      if (!doc.positions) doc.positions = {}
      positions.forEach((position, at) => {
        const id = ids[at]
        if (id) doc.positions[id] = rowOf(position, now - at, who)
      })
    },
    { message: `${who}: added ${what}` },
  )
  return ids
}

/**
 * Sets one field of one position. `seen`: what somebody had before them, where others have set the field since or deleted the
 * position: then both stand there, as a conflict or as an edit that was swallowed, and nobody's vanishes.
 */
export function set(plan: Plan, id: string, field: Field, value: FieldValue, who: string, seen: Seen | null = null): void {
  const row = rowsOf(plan.doc())[id] as PositionDoc | undefined
  const name = row ? asField("designation", row.designation) : seen?.position.designation
  const change = (doc: PlanDoc) => {
    const row = doc.positions[id]
    if (!row) return
    write(row, field, value)
    row.updatedAt = new Date()
    row.updatedBy = who
  }
  const said = { message: `${who}: ${field} of ${name}: ${value}` }
  if (seen) plan.changeAt(seen.heads, change, said)
  else plan.change(change, said)
}

function write(row: PositionDoc, field: Field, value: FieldValue): void {
  if (field === "budget") row.budget = value as number
  else row[field] = value as string
}

/** Puts an end to a conflict. */
export function settle(plan: Plan, id: string, field: Field, value: FieldValue, who: string): void {
  if (!isTwin(rowsOf(plan.doc()), id)) {
    set(plan, id, field, value, who)
    return
  }
  // Two rows were made under this id (two people restored it at once): one takes the place of both.
  plan.change(
    (doc) => {
      const row = doc.positions[id]
      if (!row) return
      const whole: PositionDoc = {
        designation: String(row.designation ?? ""),
        department: String(row.department ?? ""),
        budget: typeof row.budget === "number" ? row.budget : 0,
        location: String(row.location ?? ""),
        createdAt: row.createdAt instanceof Date ? new Date(row.createdAt) : new Date(),
        updatedAt: new Date(),
        updatedBy: who,
      }
      write(whole, field, value)
      doc.positions[id] = whole
    },
    { message: `${who}: settled ${field}: ${value}` },
  )
}

/** Deletes positions, in one change. */
export function remove(plan: Plan, ids: readonly string[], names: string, who: string): void {
  plan.change(
    (doc) => {
      for (const id of ids) delete doc.positions[id]
    },
    { message: `${who}: deleted ${names}` },
  )
}

/**
 * Brings deleted positions back, under their ids. Those that are there again are left alone. `deleted`: the heads after the
 * deletion that this takes back: edits that it swallowed and of which nobody knew then stay to be looked at.
 */
export function restore(plan: Plan, positions: readonly Deleted[], who: string, deleted: UrlHeads | null = null): void {
  const there = rowsOf(plan.doc())
  const gone = positions.filter((position) => !Object.hasOwn(there, position.id))
  if (gone.length === 0) return
  const change = (doc: PlanDoc) => {
    for (const position of gone) doc.positions[position.id] = rowOf(position, position.createdAt ?? Date.now(), who)
  }
  const said = { message: `${who}: restored ${gone.length === 1 ? gone[0]?.designation : `${gone.length} positions`}` }
  if (deleted) plan.changeAt(deleted, change, said)
  else plan.change(change, said)
}

/**
 * Changes what the plan says about itself. `seen`: what somebody had before them; what others have set since stays beside it,
 * as a conflict. Returns whether any did.
 */
export function describe(plan: Plan, settings: Partial<Settings>, who: string, seen: PlanSeen | null = null): boolean {
  const now = readPlan(plan.doc())
  const isContested = (key: Setting) => seen !== null && !isSameSetting(seen, now, key)
  const keys = SETTINGS.filter((key) => settings[key] !== undefined)
  const contested = keys.filter(isContested)
  const write = (chosen: readonly Setting[], at: UrlHeads | null) => {
    const change = (doc: PlanDoc) => {
      for (const key of chosen) {
        if (settings[key] === null) delete doc[key]
        else Object.assign(doc, { [key]: settings[key] })
      }
    }
    const said = { message: `${who}: ${chosen.join(", ")} of the plan` }
    if (at) plan.changeAt(at, change, said)
    else if (chosen.length > 0) plan.change(change, said)
  }
  write(
    keys.filter((key) => !isContested(key)),
    null,
  )
  if (seen && contested.length > 0) write(contested, seen.heads)
  return contested.length > 0
}
