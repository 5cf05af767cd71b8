/**
 * Maps at the root of a document that several people may create at the same time, each without knowing of the other.
 *
 * Two assignments of a new map are a conflict, and the entries of one of them disappear. A shared map is therefore created by one fixed
 * change with the same bytes everywhere, so that everybody creates the same object. The actor is the first 16 bytes of the SHA-256 of
 * `happierwork/shared-map/<key>`, the sequence number 1, the time 0; there is no message and no dependency. The server has the same changes;
 * both are tested with `tests/fixtures/shared-maps.json`.
 */
import { next as A } from "@automerge/automerge/slim"
import { encodeHeads, type UrlHeads } from "@automerge/automerge-repo/slim"

/** The changes as hexadecimal bytes. They are stored, not encoded, so that another version of Automerge cannot alter them. */
const SHARED_MAP_CHANGES = {
  departmentBudgets:
    "856f4a8372c8cf6c013c0010c0306b0a0d36653d9c235cbae901a4d4010100000005151334014202560270027f116465706172746d656e7442756467657473017f007f007f00",
  scenarios: "856f4a830b98041d0134001002ae9338f89fb864b2de922bbfb4677d010100000005150b34014202560270027f097363656e6172696f73017f007f007f00",
  columns: "856f4a8319672c62013200106a696d474b90f1c197b3b42a630a3237010100000005150934014202560270027f07636f6c756d6e73017f007f007f00",
  views: "856f4a83b5a1b55f01300010840c6d2fb04186d3bf8f32828778fd77010100000005150734014202560270027f057669657773017f007f007f00",
  versions: "856f4a837cad8d0e01330010257eb1702707d04610c4d6975bb14d9e010100000005150a34014202560270027f0876657273696f6e73017f007f007f00",
} as const satisfies Record<string, string>

/** The key of a shared map. Add an entry to {@link SHARED_MAP_CHANGES} for another one; the unit test names its bytes. */
export type SharedMapKey = keyof typeof SHARED_MAP_CHANGES

export const SHARED_MAP_KEYS = Object.keys(SHARED_MAP_CHANGES) as SharedMapKey[]

export const isSharedMapKey = (key: string): key is SharedMapKey => Object.hasOwn(SHARED_MAP_CHANGES, key)

/** The name of an entry of a shared map in the history, such as `departmentBudgets/Engineering`. */
export const sharedMapField = (map: string, key: string): string => `${map}/${key}`

/** The entry that the history names; `null` for another field. */
export function parseSharedMapField(field: string): { map: SharedMapKey; key: string } | null {
  const end = field.indexOf("/")
  const map = field.slice(0, end)
  return end > 0 && isSharedMapKey(map) ? { map, key: field.slice(end + 1) } : null
}

/** The change that creates a shared map. */
export const sharedMapChange = (key: SharedMapKey): Uint8Array =>
  Uint8Array.from(SHARED_MAP_CHANGES[key].match(/../g) ?? [], (byte) => Number.parseInt(byte, 16))

/** The actors of the changes that create shared maps. They follow the header of a chunk: 13 bytes, and the length of the actor. */
const SHARED_MAP_ACTORS = new Set(Object.values(SHARED_MAP_CHANGES).map((bytes) => bytes.slice(24, 56)))

/** Whether an actor creates shared maps. Nobody is its author. */
export const isSharedMapActor = (actor: string): boolean => SHARED_MAP_ACTORS.has(actor)

/** A document that changes can be applied to. */
interface SharedMapDocument<T> {
  doc(): A.Doc<T>
  update(callback: (doc: A.Doc<T>) => A.Doc<T>): void
  change(callback: A.ChangeFn<T>): void
}

/** Creates a shared map if the document has nothing at its key. A map that was made by other means is used as it is. */
export function ensureSharedMap<T>(document: SharedMapDocument<T>, key: SharedMapKey): void {
  const isMissing = () => (document.doc() as Record<string, unknown>)[key] === undefined
  if (!isMissing()) return
  document.update((doc) => A.applyChanges(doc, [sharedMapChange(key)])[0])
  // Somebody has deleted the map; the document contains the change already.
  if (isMissing())
    document.change((doc) => {
      Object.assign(doc as object, { [key]: {} })
    })
}

/**
 * The given heads together with the change that creates a shared map, so that its entries can be written at heads at which the map did not
 * exist yet. The document must contain the change; otherwise the heads stay as they are.
 */
export function headsWithSharedMap(doc: A.Doc<unknown>, heads: UrlHeads, key: SharedMapKey): UrlHeads {
  const { hash } = A.decodeChange(sharedMapChange(key))
  if (A.getMissingDeps(doc, [hash]).length > 0) return heads
  const [encoded] = encodeHeads([hash])
  return encoded === undefined || heads.includes(encoded) ? heads : ([...heads, encoded] as UrlHeads)
}
