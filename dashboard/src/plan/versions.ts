/**
 * Versions of a plan that people have named: the map `versions`, by id. An entry has the heads of the document at that time. It is created
 * once, and only its name changes.
 */
import type { next as A } from "@automerge/automerge/slim"
import type { UrlHeads } from "@automerge/automerge-repo/slim"
import type { Plan } from "./edit"
import { newId } from "./id"
import { toPlainValue } from "./multi-value-register"
import { conflictIn, type Place, type PlaceWrite, readEntries, writePlaces } from "./root-map"
import { type Conflict, type FieldValue, shownText, toFieldValue, toTimestamp } from "./schema"

export interface NamedVersion {
  id: string
  name: string
  /** Hexadecimal heads of the document. */
  heads: readonly string[]
  /** When it was named, in milliseconds since 1970; `null` if unknown. */
  at: number | null
  /** Author of the last change of the entry. */
  by: string
  /** Conflict of the name. */
  conflict: Conflict | null
}

const HEADS = /^[0-9a-f]{64}(,[0-9a-f]{64})*$/

/** The heads as the entry stores them, and as `at` of the API takes them. */
const formatHeads = (heads: readonly string[]): string => heads.join(",")

const show = (value: unknown): FieldValue => toFieldValue("designation", value)

/** The named versions, the one that was named last first. Entries without heads are left out. */
export function readVersions(doc: A.Doc<unknown>): NamedVersion[] {
  const found = [...readEntries(doc, "versions")].flatMap(([id, register]): NamedVersion[] => {
    const entry = register.at(-1)?.value
    if (entry?.type !== "map") return []
    const { entries } = entry
    const heads = shownText(entries.get("heads"))
    if (!HEADS.test(heads)) return []
    const at = entries.get("at")?.at(-1)
    return [
      {
        id,
        name: shownText(entries.get("name")),
        heads: heads.split(","),
        at: at ? toTimestamp(toPlainValue(at.value)) : null,
        by: shownText(entries.get("by")),
        conflict: conflictIn(entries.get("name") ?? [], show),
      },
    ]
  })
  return found.sort((one, other) => (other.at ?? 0) - (one.at ?? 0) || one.name.localeCompare(other.name) || (one.id < other.id ? -1 : 1))
}

export const versionPlace = (id: string, field?: "name" | "by"): Place => (field ? ["versions", id, field] : ["versions", id])

/** Names a version. `heads`: hexadecimal. Returns its id. */
export function addVersion(plan: Plan, name: string, heads: readonly string[], author: string): string {
  const id = newId()
  const value = { name, heads: formatHeads(heads), by: author, at: new Date() }
  writePlaces(plan, "versions", [{ place: versionPlace(id), value }], `${author}: named the version ${name}`)
  return id
}

/**
 * Renames a version. `base`: the heads at which the user saw the name. If somebody else has changed it since, it becomes a conflict. Returns
 * whether there is one.
 */
export function renameVersion(plan: Plan, id: string, name: string, author: string, base: UrlHeads): boolean {
  const writes: PlaceWrite[] = [
    { place: versionPlace(id, "name"), value: name },
    { place: versionPlace(id, "by"), value: author, isBookkeeping: true },
  ]
  return writePlaces(plan, "versions", writes, `${author}: renamed a version to ${name}`, base).length > 0
}

export function deleteVersion(plan: Plan, id: string, name: string, author: string): void {
  writePlaces(plan, "versions", [{ place: versionPlace(id), value: null }], `${author}: deleted the version ${name}`)
}
