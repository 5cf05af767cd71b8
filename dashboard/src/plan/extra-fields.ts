/** Fields of positions that are neither those of the product nor columns of the plan. They are exported as they are, and never changed. */
import { APPROVAL_KEYS } from "./approval"
import { COMMENTS } from "./comments"
import { isFieldKey } from "./fields"
import { describeValue, rowAt, rowsOf } from "./schema"

/** A value as a table holds it. Lists and maps are JSON. */
export type ExtraValue = string | number | boolean

/** Keys that are columns of their own, and comments, which are not exported. */
const KNOWN_KEYS: ReadonlySet<string> = new Set(["id", "createdAt", "updatedAt", "updatedBy", ...APPROVAL_KEYS, COMMENTS])

/** The further fields of the given positions, by id. Positions without any have no entry. `own`: keys of the columns of the plan. */
export function readExtraFields(
  doc: unknown,
  ids: Iterable<string>,
  own: ReadonlySet<string> = new Set(),
): Map<string, Record<string, ExtraValue>> {
  const rows = rowsOf(doc)
  const found = new Map<string, Record<string, ExtraValue>>()
  for (const id of ids) {
    const row = rowAt(rows, id)
    // An entry that is not a map has no fields.
    if (typeof row !== "object" || row === null || Object.getPrototypeOf(row) !== Object.prototype) continue
    const extra = Object.entries(row).flatMap(([key, value]): [string, ExtraValue][] =>
      isFieldKey(key) || own.has(key) || KNOWN_KEYS.has(key) || value === null || value === undefined ? [] : [[key, toExtraValue(value)]],
    )
    if (extra.length > 0) found.set(id, Object.fromEntries(extra))
  }
  return found
}

const toExtraValue = (value: unknown): ExtraValue =>
  typeof value === "string" || typeof value === "boolean" || (typeof value === "number" && Number.isFinite(value))
    ? value
    : describeValue(value)
