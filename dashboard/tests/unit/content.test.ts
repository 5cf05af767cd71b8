import { next as A } from "@automerge/automerge"
import { Repo } from "@automerge/automerge-repo"
import { describe, expect, it, vi } from "vitest"
import { hasContent, onceItHasContent } from "../../src/sync/content"

describe("content of a document", () => {
  it("is missing in an empty document that is ready", async () => {
    const repo = new Repo()
    const handle = repo.import<{ name?: string }>(A.save(A.init()))
    await handle.whenReady()
    expect(hasContent(handle)).toBe(false)
    const then = vi.fn()
    onceItHasContent(handle, then)
    expect(then).not.toHaveBeenCalled()
    handle.change((doc) => {
      doc.name = "Growth"
    })
    expect(hasContent(handle)).toBe(true)
    expect(then).toHaveBeenCalledOnce()
    handle.change((doc) => {
      doc.name = "Growth 2027"
    })
    expect(then).toHaveBeenCalledOnce()
  })

  it("is not waited for any more after the wait was ended", async () => {
    const handle = new Repo().import<{ name?: string }>(A.save(A.init()))
    await handle.whenReady()
    const then = vi.fn()
    onceItHasContent(handle, then)()
    handle.change((doc) => {
      doc.name = "Growth"
    })
    expect(then).not.toHaveBeenCalled()
  })

  it("is found at once", async () => {
    const handle = new Repo().create({ name: "Growth" })
    await handle.whenReady()
    const then = vi.fn()
    onceItHasContent(handle, then)
    expect(then).toHaveBeenCalledOnce()
  })
})
