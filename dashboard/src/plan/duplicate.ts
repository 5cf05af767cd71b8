/**
 * Duplicates a plan into a new document: rows, settings and fields of other programs, with all values of conflicts, but without history.
 *
 * Comments, scenarios and named versions stay with the original: they are about its history, and name documents of their own.
 */
import { next as A } from "@automerge/automerge/slim"
import { decodeHeads, encodeHeads, type UrlHeads } from "@automerge/automerge-repo/slim"
import { ARCHIVED } from "./archive"
import { COMMENTS } from "./comments"
import { updateInfoRegisters, withFields } from "./edit"
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
const OWN_KEYS: ReadonlySet<string> = new Set([
  "documentId",
  "name",
  "scenarios",
  "versions",
  "successor",
  "predecessor",
  COMMENTS,
  ARCHIVED,
])
/** The name that a copy gets unless the user types another one. */
export const copyName = (name: string): string => [...`Copy of ${name || "Untitled plan"}`].slice(0, MAX_TEXT).join("")

/** A new document with the contents of `source`. Positions keep their ids and their order. */
export function duplicatePlan(source: A.Doc<unknown>, { id, name, author }: { id: string; name: string; author: string }): A.Doc<PlanDoc> {
  const keys = Object.keys(source as object).filter((key) => key !== "positions" && !OWN_KEYS.has(key))
  const writes: RegisterWrite[] = [
    { path: ["documentId"], register: registerOf(textValue(id)) },
    { path: ["name"], register: registerOf(textValue(name)) },
    ...keys.map((key): RegisterWrite => ({ path: [key], register: readRegister(source, [key]) })),
    { path: ["positions"], register: copyRows(readRegister(source, ["positions"]), author) },
  ]
  const target = new NewDocument()
  writeRegisters(target, target.heads(), writes, `${author}: copied the plan`)
  return target.doc
}

class NewDocument implements WritableDocument<PlanDoc> {
  doc = A.init() as A.Doc<PlanDoc>
  heads = (): UrlHeads => encodeHeads(A.getHeads(this.doc))
  change(callback: A.ChangeFn<PlanDoc>, options?: A.ChangeOptions<PlanDoc>): void {
    this.doc = A.change(this.doc, options ?? {}, callback)
  }
  changeAt(heads: UrlHeads, callback: A.ChangeFn<PlanDoc>, options?: A.ChangeOptions<PlanDoc>): UrlHeads | undefined {
    const { newDoc, newHeads } = A.changeAt(this.doc, decodeHeads(heads), options ?? {}, callback)
    this.doc = newDoc
    return newHeads ? encodeHeads(newHeads) : undefined
  }
}

/**
 * The list of positions without comments; an empty one if the document has none. The copy is the last change of each row: otherwise the
 * history of the copy would name somebody else as its author.
 */
function copyRows(positions: Register, author: string): Register {
  if (positions.length === 0) return registerOf({ type: "map", entries: new Map() })
  const updateInfo = updateInfoRegisters(author)
  return positions.map(({ operation, value }) => {
    if (value.type !== "map") return { operation, value }
    const rows = [...value.entries].map(([id, row]) => [id, withFields(row, [[COMMENTS, []], ...updateInfo])] as const)
    return { operation, value: { type: "map", entries: new Map(rows) } }
  })
}
