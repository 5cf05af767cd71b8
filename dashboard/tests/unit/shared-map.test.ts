import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import path from "node:path"
import { next as A } from "@automerge/automerge/slim"
import { expect, test } from "vitest"
import { ensureSharedMap, isSharedMapActor, SHARED_MAP_KEYS, type SharedMapKey, sharedMapChange } from "../../src/plan/shared-map"
import { type Copy, createCopies } from "./support/copy"

const toHex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex")
const actorOf = (key: string) => createHash("sha256").update(`happierwork/shared-map/${key}`).digest("hex").slice(0, 32)
const root = (copy: Copy) => copy.doc() as unknown as Record<string, Record<string, unknown> | undefined>
const write = (copy: Copy, change: (doc: Record<string, Record<string, unknown>>) => void) => copy.write(change as never)

test("each change is the one that its key determines", () => {
  for (const key of SHARED_MAP_KEYS) {
    const doc = A.change(A.init<Record<string, unknown>>({ actor: actorOf(key) }), { time: 0 }, (made) => {
      made[key] = {}
    })
    expect(toHex(sharedMapChange(key))).toBe(toHex(A.getLastLocalChange(doc) as Uint8Array))
    expect(A.decodeChange(sharedMapChange(key))).toMatchObject({ actor: actorOf(key), seq: 1, time: 0, message: null, deps: [] })
    expect(isSharedMapActor(actorOf(key))).toBe(true)
  }
})

test("the server has the same changes", () => {
  const fixture = path.resolve(import.meta.dirname, "../../../tests/fixtures/shared-maps.json")
  const expected = JSON.parse(readFileSync(fixture, "utf8")) as Record<string, string>
  expect(Object.fromEntries(SHARED_MAP_KEYS.map((key) => [key, toHex(sharedMapChange(key))]))).toEqual(expected)
})

test("two people who create a map offline create the same one", () => {
  const { ours, theirs } = createCopies()
  for (const [copy, name] of [
    [ours, "Engineering"],
    [theirs, "Sales"],
  ] as const) {
    ensureSharedMap(copy, "departmentBudgets")
    write(copy, (doc) => {
      Object.assign(doc.departmentBudgets as object, { [name]: 400 })
    })
  }
  ours.merge(theirs)
  theirs.merge(ours)
  for (const copy of [ours, theirs]) {
    expect(root(copy).departmentBudgets).toEqual({ Engineering: 400, Sales: 400 })
    expect(A.getConflicts(copy.doc(), "departmentBudgets" as never)).toBeUndefined()
  }
})

test("a map that was made by other means is used as it is", () => {
  const { ours } = createCopies()
  write(ours, (doc) => {
    doc.views = { mine: 1 }
  })
  const before = A.getHeads(ours.doc())
  ensureSharedMap(ours, "views")
  expect(A.getHeads(ours.doc())).toEqual(before)
  expect(root(ours).views).toEqual({ mine: 1 })
})

test("a deleted map is created again", () => {
  const { ours } = createCopies()
  const key: SharedMapKey = "views"
  ensureSharedMap(ours, key)
  write(ours, (doc) => {
    delete doc[key]
  })
  ensureSharedMap(ours, key)
  expect(root(ours)[key]).toEqual({})
})
