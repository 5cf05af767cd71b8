/**
 * Duplicates a plan into a new document: rows, settings and fields of other programs, with all values of conflicts, but without history.
 *
 * Comments and scenarios stay with the original: they are about its history, and name documents of their own.
 */
import type { next as A } from "@automerge/automerge/slim"
import { ARCHIVED } from "./archive"
import { withFields } from "./edit"
import {
  type Register,
  type RegisterWrite,
  readRegister,
  registerOf,
  textValue,
  type WritableDocument,
  writeRegisters,
} from "./multi-value-register"
import { MAX_TEXT, type PlanDoc } from "./schema"

/** Root keys that belong to the original. */
const OWN_KEYS: ReadonlySet<string> = new Set(["documentId", "name", "scenarios", "comments", ARCHIVED])
/** Field of a row that belongs to the original. */
const COMMENTS = "comments"

/** The name that a copy gets unless the user types another one. */
export const copyName = (name: string): string => [...`Copy of ${name || "Untitled plan"}`].slice(0, MAX_TEXT).join("")

/** Writes the contents of `source` into an empty document. Positions keep their ids, authors and times. */
export function duplicatePlan(
  target: WritableDocument<PlanDoc>,
  source: A.Doc<unknown>,
  { id, name, author }: { id: string; name: string; author: string },
): void {
  const keys = Object.keys(source as object).filter((key) => key !== "positions" && !OWN_KEYS.has(key))
  const writes: RegisterWrite[] = [
    { path: ["documentId"], register: registerOf(textValue(id)) },
    { path: ["name"], register: registerOf(textValue(name)) },
    ...keys.map((key): RegisterWrite => ({ path: [key], register: readRegister(source, [key]) })),
    { path: ["positions"], register: withoutComments(readRegister(source, ["positions"])) },
  ]
  writeRegisters(target, target.heads(), writes, `${author}: copied the plan`)
}

/** The list of positions without comments; an empty one if the document has none. */
function withoutComments(positions: Register): Register {
  if (positions.length === 0) return registerOf({ type: "map", entries: new Map() })
  return positions.map(({ operation, value }) => {
    if (value.type !== "map") return { operation, value }
    const rows = [...value.entries].map(([id, row]) => [id, withFields(row, [[COMMENTS, []]])] as const)
    return { operation, value: { type: "map", entries: new Map(rows) } }
  })
}
