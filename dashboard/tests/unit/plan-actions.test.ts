/** Errors of large actions are reported. */
import { afterEach, beforeEach, expect, it, vi } from "vitest"
import { PlanColumns } from "../../src/plan/columns"
import type { ImportChanges } from "../../src/plan/table-import/review"
import type { PlanStore } from "../../src/sync/plan-store"
import { UndoStack } from "../../src/sync/undo-stack"
import { planActions } from "../../src/ui/plan-actions"
import { createCopies } from "./support/copy"
import { newPosition } from "./support/position"
import { fakeStorage } from "./support/storage"

beforeEach(() => {
  vi.stubGlobal("localStorage", fakeStorage())
  vi.stubGlobal("window", new EventTarget())
})
afterEach(() => vi.unstubAllGlobals())

function setup() {
  const { ours } = createCopies()
  const undoStack = new UndoStack(ours, "cfo", "4NMNnkMhL8jXrdJ9jamS58PAVdXu")
  const get = (id: string) => ours.readPosition(id) ?? undefined
  const store = { plan: ours, undoStack, get, getSnapshot: () => ({ columns: new PlanColumns([]) }) } as unknown as PlanStore
  const showToast = vi.fn()
  const actions = planActions({ store, author: "CFO", showToast, showRefusals: () => undefined })
  const toast = (): { text: string; run: () => void } => {
    const [text, button] = showToast.mock.lastCall as [string, { run: () => void } | undefined]
    return { text, run: button?.run ?? (() => undefined) }
  }
  const { change } = ours
  /** Edits fail after so many. */
  const failAfter = (edits: number) => {
    let count = 0
    ours.change = (callback, options) => {
      count += 1
      if (count > edits) throw new Error("outdated document")
      change(callback, options)
    }
  }
  return { ours, actions, undoStack, toast, failAfter, rows: () => Object.keys(ours.doc().positions).length }
}

const IMPORT: ImportChanges = {
  additions: Array.from({ length: 60 }, (_, at) => newPosition({ designation: `Cook ${at}` })),
  cells: [],
  deletions: [],
}

it("an import that fails ends, and what it has written can be undone", async () => {
  const { actions, toast, failAfter, rows } = setup()
  failAfter(1)
  await actions.importTable(IMPORT, () => true).finished
  expect(toast().text).toBe("The import of 60 positions failed: outdated document")
  expect(rows()).toBe(26)
  failAfter(Number.POSITIVE_INFINITY)
  toast().run()
  await vi.waitFor(() => expect(toast().text).toBe("Undid import of 60 positions."))
  expect(rows()).toBe(1)
})

it("a small import that fails says so", () => {
  const { actions, toast, failAfter } = setup()
  failAfter(0)
  actions.importTable({ ...IMPORT, additions: IMPORT.additions.slice(0, 1) }, () => true)
  expect(toast().text).toBe("The import of “Cook 0” failed: outdated document")
})

it("undo of an interrupted import says whether something is left", async () => {
  const { actions, toast, failAfter, rows, undoStack } = setup()
  const { label, finished } = actions.importTable(IMPORT, () => true)
  await finished
  failAfter(1)
  expect(await actions.undoImport(label)).toBe(false)
  expect(toast().text).toBe("Undo failed: outdated document")
  expect(undoStack.find(label)?.parts).toHaveLength(2)
  failAfter(Number.POSITIVE_INFINITY)
  expect(await actions.undoImport(label)).toBe(true)
  expect(rows()).toBe(1)
  expect(await actions.undoImport(label)).toBe(true)
})
