/** Documents in the local database, while it is full and while other tabs join what is stored. */
import { next as A } from "@automerge/automerge/slim"
import { type DocumentId, Repo } from "@automerge/automerge-repo/slim"
import { afterEach, beforeEach, expect, it, vi } from "vitest"
import { BackgroundStorage } from "../../src/sync/background-storage"
import { LocalStorageAdapter } from "../../src/sync/local-storage"
import { FakeDatabase, globalsWith } from "./support/indexed-db"

const ID = "4NMNnkMhL8jXrdJ9jamS58PAVdXu" as DocumentId
const RETRY_MS = 10_000

let database: FakeDatabase

beforeEach(() => {
  vi.useFakeTimers()
  database = new FakeDatabase()
  for (const [name, value] of Object.entries(globalsWith(database))) vi.stubGlobal(name, value)
  vi.stubGlobal("window", globalThis)
})
afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

async function open() {
  const saveAgain = vi.fn()
  const storage = new LocalStorageAdapter("happierwork", saveAgain)
  const repo = new Repo({ storage })
  new BackgroundStorage(repo, storage, "happierwork")
  const subsystem = repo.storageSubsystem
  if (!subsystem) throw new Error("the repository has no storage")
  // The repository stores an id of its own.
  await subsystem.id()
  return { storage, subsystem, saveAgain }
}

const edit = (doc: A.Doc<unknown>, name: string) =>
  A.change(doc as A.Doc<{ name: string }>, (changed) => {
    changed.name = name
  })

it("failed saves of a document share one retry", async () => {
  const { storage, saveAgain } = await open()
  database.isFull = true
  for (let at = 0; at < 20; at += 1) await expect(storage.save([ID, "incremental", String(at)], new Uint8Array(1))).rejects.toThrow("full")
  expect(storage.writeError(ID)).toBe("Storage is full.")
  await vi.advanceTimersByTimeAsync(RETRY_MS)
  expect(saveAgain.mock.calls).toEqual([[ID]])
  // The retry fails, too.
  await expect(storage.save([ID, "incremental", "a"], new Uint8Array(1))).rejects.toThrow("full")
  await vi.advanceTimersByTimeAsync(RETRY_MS)
  expect(saveAgain).toHaveBeenCalledTimes(2)
})

it("a save that succeeds cancels the retry", async () => {
  const { storage, saveAgain } = await open()
  database.isFull = true
  await expect(storage.save([ID, "incremental", "a"], new Uint8Array(1))).rejects.toThrow("full")
  database.isFull = false
  await storage.save([ID, "incremental", "b"], new Uint8Array(1))
  await vi.advanceTimersByTimeAsync(10 * RETRY_MS)
  expect(saveAgain).not.toHaveBeenCalled()
  expect(storage.writeError(ID)).toBeNull()
})

it("a document without a snapshot waits for the retry, and not when the page is closed", async () => {
  const { storage, subsystem, saveAgain } = await open()
  database.isFull = true
  let doc: A.Doc<unknown> = A.from({ name: "Growth" })
  await expect(subsystem.saveDoc(ID, doc)).rejects.toThrow("full")
  const { attempts } = database
  for (const name of ["A", "B", "C"]) {
    doc = edit(doc, name)
    await subsystem.saveDoc(ID, doc)
  }
  expect(database.attempts).toBe(attempts)

  saveAgain.mockImplementation(() => subsystem.saveDoc(ID, doc).catch(() => undefined))
  await vi.advanceTimersByTimeAsync(RETRY_MS)
  expect(database.attempts).toBe(attempts + 1)

  // As when the page is closed.
  database.isFull = false
  storage.cancelRetries()
  await subsystem.saveDoc(ID, doc)
  expect(await (await open()).subsystem.loadDoc(ID)).toEqual({ name: "C" })
})

it("a document is loaded whole while another tab joins its chunks", async () => {
  const doc = A.from({ name: "Growth" })
  const later = edit(doc, "Growth 2028")
  database.put([ID, "snapshot", "a"], A.save(doc))
  database.put([ID, "incremental", "b"], A.saveSince(later, A.getHeads(doc)))
  const { storage, subsystem } = await open()
  database.onRead = () => {
    database.entries.clear()
    database.put([ID, "snapshot", "c"], A.save(later))
  }
  expect(await subsystem.loadDoc(ID)).toEqual({ name: "Growth 2028" })
  expect(storage.sizes(ID)).toEqual({ snapshot: A.save(doc).length, changes: A.saveSince(later, A.getHeads(doc)).length })
})
