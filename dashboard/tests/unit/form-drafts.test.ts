import { beforeEach, expect, it, vi } from "vitest"
import { formDrafts, removeFormDrafts } from "../../src/sync/form-drafts"
import { followLogoutInOtherTab, scheduleLocalDataRemoval } from "../../src/sync/logout-cleanup"
import { fakeStorage } from "./support/storage"

beforeEach(() => {
  vi.stubGlobal("sessionStorage", fakeStorage())
  vi.stubGlobal("localStorage", fakeStorage())
  vi.stubGlobal("window", new EventTarget())
})

it("a logout removes what was typed into forms, in all tabs", () => {
  const drafts = formDrafts("cfo", "4NMNnkMhL8jXrdJ9jamS58PAVdXu")
  const type = () => drafts.save("add", { opened: null, typed: { designation: "Cook" } })
  type()
  scheduleLocalDataRemoval("cfo")
  expect(drafts.read("add")).toBeNull()
  type()
  const onLogout = vi.fn()
  followLogoutInOtherTab(onLogout)
  window.dispatchEvent(Object.assign(new Event("storage"), { key: "happierwork.name", newValue: "" }))
  expect(drafts.read("add")).not.toBeNull()
  window.dispatchEvent(Object.assign(new Event("storage"), { key: "happierwork.forget.cfo", newValue: "" }))
  expect(drafts.read("add")).toBeNull()
  expect(onLogout).toHaveBeenCalledOnce()
  vi.stubGlobal("sessionStorage", null)
  expect(removeFormDrafts).not.toThrow()
})
