/** Nothing that the page keeps in local storage breaks it when the storage is full. */
import { Repo } from "@automerge/automerge-repo/slim"
import { afterEach, beforeEach, expect, it, vi } from "vitest"
import type { PlanDoc } from "../../src/plan/schema"
import type { Connection } from "../../src/sync/connection"
import { saveDismissed } from "../../src/sync/dismissed-edits"
import { tabName } from "../../src/sync/import-journal"
import type { LocalStorageAdapter } from "../../src/sync/local-storage"
import { scheduleLocalDataRemoval } from "../../src/sync/logout-cleanup"
import { cachedPlans, listPlans, markArchived } from "../../src/sync/plans"
import { plansKey } from "../../src/sync/plans-key"
import { keepAddress, readSession, type Session, saveDisplayName } from "../../src/sync/session"
import { planKey } from "../../src/sync/storage-keys"
import { protectUndoStack, releaseUndoStack, storeItem } from "../../src/sync/stored-items"
import { SyncStatus } from "../../src/sync/sync-status"
import { readTheme, saveTheme } from "../../src/ui/theme"
import { fakeStorage, fill } from "./support/storage"

const [ONE, OTHER] = ["4NMNnkMhL8jXrdJ9jamS58PAVdXu", "2F7vwfYPQJhEivXZYYwEk6VtCrNQ"]
const SESSION = "happierwork.session"
const session = (name: string | null): Session => ({
  required: true,
  accounts: true,
  user: name === null ? null : { name, role: "editor" },
})
const respond = (body: unknown) => vi.stubGlobal("fetch", async () => new Response(JSON.stringify(body)))

beforeEach(() => {
  vi.stubGlobal("localStorage", fakeStorage())
  vi.stubGlobal("sessionStorage", fakeStorage())
})
afterEach(() => vi.unstubAllGlobals())

it("undo stacks of plans that are not open make room", () => {
  const [open, closed] = [planKey("undo", "cfo", ONE), planKey("undo", "cfo", OTHER)]
  for (const key of [open, closed, planKey("lost", "cfo", OTHER)]) localStorage.setItem(key, "x".repeat(50))
  protectUndoStack(open)
  fill(localStorage)
  expect(storeItem("happierwork.name", "CFO")).toBe(true)
  expect(Object.keys(localStorage)).toEqual([open, planKey("lost", "cfo", OTHER), "happierwork.name"])
  fill(localStorage)
  expect(storeItem("happierwork.theme", "dark")).toBe(false)
  expect(localStorage.getItem(open)).not.toBeNull()
  releaseUndoStack(open)
  expect(storeItem("happierwork.theme", "dark")).toBe(true)
  expect(storeItem("happierwork.theme", null)).toBe(true)
  expect(localStorage.getItem("happierwork.theme")).toBeNull()
})

it("no write throws when the storage is full or blocked", () => {
  for (const prepare of [() => [localStorage, sessionStorage].map((storage) => fill(storage)), () => vi.stubGlobal("localStorage", null)]) {
    prepare()
    saveDismissed("cfo", ONE, new Set(["a"]))
    saveDisplayName("CFO")
    keepAddress("#plan")
  }
  expect(tabName()).toBe(tabName())
})

it("a theme that cannot be stored lasts as long as the page", () => {
  vi.stubGlobal("document", { documentElement: { dataset: {} } })
  fill(localStorage)
  saveTheme("dark")
  expect(readTheme()).toBe("dark")
})

it("a logout is marked even if the storage is full", () => {
  localStorage.setItem(planKey("undo", "cfo", ONE), "x".repeat(100))
  localStorage.setItem(planKey("lost", "ceo", ONE), "x".repeat(100))
  protectUndoStack(planKey("undo", "cfo", ONE))
  fill(localStorage)
  scheduleLocalDataRemoval("cfo")
  releaseUndoStack(planKey("undo", "cfo", ONE))
  expect(Object.keys(localStorage)).toEqual([planKey("lost", "ceo", ONE), "happierwork.forget.cfo"])
})

it("a login is used although its session cannot be stored", async () => {
  localStorage.setItem(SESSION, JSON.stringify(session(null)))
  fill(localStorage)
  respond(session("cfo"))
  expect(await readSession()).toEqual({ session: session("cfo"), isFresh: true })
  // Offline, the page does not open the data of somebody else.
  vi.stubGlobal("fetch", () => Promise.reject(new TypeError("offline")))
  expect((await readSession()).session?.user?.name).not.toBe("ceo")
})

it("the stored session of another user does not stay", async () => {
  localStorage.setItem(SESSION, JSON.stringify(session("ceo")))
  fill(localStorage)
  respond(session("somebody with a longer name"))
  expect(await readSession()).toMatchObject({ isFresh: true })
  vi.stubGlobal("fetch", () => Promise.reject(new TypeError("offline")))
  expect(await readSession()).toEqual({ session: null, isFresh: false })
})

it("a list of plans that cannot be stored lasts as long as the page", async () => {
  fill(localStorage)
  respond([{ id: ONE, name: "Growth", default: true, access: "own" }])
  const listed = await listPlans("cfo")
  expect(listed.map(({ name }) => name)).toEqual(["Growth"])
  expect(cachedPlans("cfo")).toEqual(listed)
  expect(markArchived("cfo", ONE, true)).toMatchObject([{ id: ONE, isArchived: true }])
  expect(cachedPlans("cfo")).toMatchObject([{ isArchived: true }])
  fill(localStorage, 1_000)
  await listPlans("cfo")
  expect(localStorage.getItem(plansKey("cfo"))).toContain("Growth")
})

it("an open plan can be edited while the storage is full", () => {
  const handle = new Repo({}).create<PlanDoc>({ name: "Growth", positions: {} })
  const server = { storageId: "server", isOpen: true, accessError: null, subscribe: () => () => undefined }
  const connection = { ...server, rejection: () => null, clearRejection: () => undefined } as unknown as Connection
  const storage = { subscribe: () => () => undefined, writeError: () => null } as unknown as LocalStorageAdapter
  const status = new SyncStatus(handle, connection, storage, "cfo")
  fill(localStorage)
  const announce = () => handle.emit("remote-heads", { storageId: "server" as never, heads: handle.heads(), timestamp: 0 })
  expect(announce).not.toThrow()
  for (const name of ["A", "B"])
    handle.change((doc) => {
      doc.name = name
    })
  announce()
  expect(status.state).toMatchObject({ kind: "live", pending: 0 })
})
