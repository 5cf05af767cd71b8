import { beforeEach, expect, it, vi } from "vitest"

const PLACE = { owner: "cfo", plan: "4NMNnkMhL8jXrdJ9jamS58PAVdXu", position: "a" }
const stored = new Map<string, string>()

/** The module as a page that has just been loaded has it. */
async function load() {
  vi.resetModules()
  return import("../../src/sync/comment-drafts")
}

beforeEach(() => {
  stored.clear()
  vi.stubGlobal("localStorage", {
    getItem: (key: string) => stored.get(key) ?? null,
    setItem: (key: string, text: string) => stored.set(key, text),
    removeItem: (key: string) => stored.delete(key),
  })
})

it("a text survives a reload until it is sent", async () => {
  const before = await load()
  before.saveCommentDraft(PLACE, "Is this")
  before.saveCommentDraft({ ...PLACE, position: "constructor" }, "Another")
  const after = await load()
  expect(after.readCommentDraft(PLACE)).toBe("Is this")
  expect(after.readCommentDraft({ ...PLACE, position: "constructor" })).toBe("Another")
  expect(after.readCommentDraft({ ...PLACE, position: "toString" })).toBe("")
  expect(after.readCommentDraft({ ...PLACE, owner: "ceo" })).toBe("")
  after.saveCommentDraft(PLACE, "")
  after.saveCommentDraft({ ...PLACE, position: "constructor" }, "")
  expect((await load()).readCommentDraft(PLACE)).toBe("")
  expect(stored.size).toBe(0)
})

it("without storage a text lasts as long as the page", async () => {
  vi.stubGlobal("localStorage", {
    getItem: () => "not JSON",
    setItem: () => {
      throw new Error("full")
    },
  })
  const page = await load()
  page.saveCommentDraft(PLACE, "Is this")
  expect(page.readCommentDraft(PLACE)).toBe("Is this")
})
