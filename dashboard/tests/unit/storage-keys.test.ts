import { afterEach, beforeEach, expect, it, vi } from "vitest"
import { readPendingCounts, savePendingCount } from "../../src/sync/pending-changes"
import { plansKey } from "../../src/sync/plans-key"
import { planKey, removeStoredKeys } from "../../src/sync/storage-keys"
import { fakeStorage } from "./support/storage"

const [ONE, OTHER] = ["4NMNnkMhL8jXrdJ9jamS58PAVdXu", "2F7vwfYPQJhEivXZYYwEk6VtCrNQ"]

beforeEach(() => vi.stubGlobal("localStorage", fakeStorage()))
afterEach(() => vi.unstubAllGlobals())

it("removing the keys of a user keeps those of others", () => {
  const kept = [
    "happierwork.name",
    "happierwork.session",
    "happierwork.forget.cfo",
    plansKey("cfo.london"),
    planKey("heads", "cfo.london", ONE),
    planKey("unsent", "", ONE),
    planKey("dismissed", "ceo", ONE),
  ]
  const gone = [plansKey("cfo"), planKey("heads", "cfo", ONE), planKey("unsent", "cfo", OTHER), planKey("dismissed", "cfo", ONE)]
  for (const key of [...kept, ...gone]) localStorage.setItem(key, "1")
  removeStoredKeys("cfo")
  expect(Object.keys(localStorage)).toEqual(kept)
})

it("pending changes are counted by plan and user", () => {
  savePendingCount("cfo", ONE, 3)
  savePendingCount("cfo", OTHER, 1)
  savePendingCount("cfo.london", ONE, 7)
  expect([...readPendingCounts("cfo")]).toEqual([
    [ONE, 3],
    [OTHER, 1],
  ])
  savePendingCount("cfo", ONE, 0)
  expect([...readPendingCounts("cfo").keys()]).toEqual([OTHER])
})
