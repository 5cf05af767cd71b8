/** Views that people have saved in a plan: the map `views`, by id. An entry is created once and then changed field by field. */
import type { next as A } from "@automerge/automerge/slim"
import type { UrlHeads } from "@automerge/automerge-repo/slim"
import type { Plan } from "./edit"
import { newId } from "./id"
import { conflictIn, type Place, type PlaceWrite, readEntries, writePlaces } from "./root-map"
import { type Conflict, type FieldValue, shownText, toFieldValue } from "./schema"

/** The fields of a saved view that people change. */
export type SavedViewField = "name" | "view"

export interface SavedView {
  id: string
  name: string
  /** The view as the address of the page names it. */
  view: string
  /** Author of the last change. */
  by: string
  conflicts: Partial<Record<SavedViewField, Conflict>> | null
}

const show = (value: unknown): FieldValue => toFieldValue("designation", value)

/** The saved views in the order of their names. Entries without a view are left out. */
export function readSavedViews(doc: A.Doc<unknown>): SavedView[] {
  const found = [...readEntries(doc, "views")].flatMap(([id, register]): SavedView[] => {
    const entry = register.at(-1)?.value
    if (entry?.type !== "map" || !entry.entries.has("view")) return []
    const of = (field: SavedViewField) => conflictIn(entry.entries.get(field) ?? [], show)
    const [name, view] = [of("name"), of("view")]
    const conflicts = name || view ? { ...(name && { name }), ...(view && { view }) } : null
    return [
      {
        id,
        name: shownText(entry.entries.get("name")),
        view: shownText(entry.entries.get("view")),
        by: shownText(entry.entries.get("by")),
        conflicts,
      },
    ]
  })
  return found.sort((one, other) => one.name.localeCompare(other.name) || (one.id < other.id ? -1 : 1))
}

export const savedViewPlace = (id: string, field?: SavedViewField | "by" | "at"): Place => (field ? ["views", id, field] : ["views", id])

/** Saves a view. Returns its id. */
export function addSavedView(plan: Plan, name: string, view: string, author: string): string {
  const id = newId()
  const value = { name, view, by: author, at: new Date() }
  writePlaces(plan, "views", [{ place: savedViewPlace(id), value }], `${author}: saved the view ${name}`)
  return id
}

/**
 * Sets a field of a saved view. `base`: the heads at which the user saw it. A field that somebody else has changed since becomes a conflict.
 * Returns whether there is one.
 */
export function setSavedView(plan: Plan, id: string, field: SavedViewField, value: string, author: string, base: UrlHeads): boolean {
  const what = field === "name" ? `renamed a view to ${value}` : "updated a view"
  const writes: PlaceWrite[] = [
    { place: savedViewPlace(id, field), value },
    { place: savedViewPlace(id, "by"), value: author, isBookkeeping: true },
    { place: savedViewPlace(id, "at"), value: new Date(), isBookkeeping: true },
  ]
  const contested = writePlaces(plan, "views", writes, `${author}: ${what}`, base)
  return contested.length > 0
}

export function deleteSavedView(plan: Plan, id: string, name: string, author: string): void {
  writePlaces(plan, "views", [{ place: savedViewPlace(id), value: null }], `${author}: deleted the view ${name}`)
}
