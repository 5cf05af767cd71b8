/** Large actions that are interrupted while they are written or reverted, or while another tab writes. */
import { afterEach, beforeEach, expect, it, vi } from "vitest"
import { addPositions, setField } from "../../src/plan/edit"
import { planKey } from "../../src/sync/storage-keys"
import { UndoStack } from "../../src/sync/undo-stack"
import { type Copy, createCopies } from "./support/copy"
import { newPosition } from "./support/position"
import { fakeStorage } from "./support/storage"

const PLAN = "4NMNnkMhL8jXrdJ9jamS58PAVdXu"
const KEY = planKey("undo", "cfo", PLAN)

beforeEach(() => {
  vi.stubGlobal("localStorage", fakeStorage())
  vi.stubGlobal("window", new EventTarget())
})
afterEach(() => vi.unstubAllGlobals())

const open = (copy: Copy) => new UndoStack(copy, "cfo", PLAN)
const budgetsOf = (copy: Copy, ids: readonly string[]) => ids.map((id) => copy.row(id).budget)
const edit = (copy: Copy, id: string, budget: number) => () => {
  setField(copy, id, "budget", budget, "CFO")
  return { cells: { budget: [id] } }
}

/** A copy with four positions of budget 1, and a stack whose latest action has set them to 5 in four parts. */
async function setup() {
  const { ours } = createCopies()
  const ids = addPositions(ours, Array(4).fill(newPosition({ designation: "Cook", budget: 1 })), "CFO")
  const stack = open(ours)
  await stack.recordPortions(
    "filling of 4 cells",
    ids.map((id) => edit(ours, id, 5)),
  )
  return { ours, ids, stack }
}

/** Calls `interrupt` after so many parts have been written or reverted. */
function interruptAfter(copy: Copy, parts: number, interrupt: () => void): void {
  const { change } = copy
  let count = 0
  copy.change = (callback, options) => {
    if (count === parts) interrupt()
    count += 1
    change(callback, options)
  }
}

/** The page is closed, and opened again from what is stored now. */
function reload(stack: UndoStack, copy: Copy): { copy: Copy; stack: UndoStack } {
  window.dispatchEvent(new Event("pagehide"))
  stack.close()
  const reloaded = copy.fork()
  return { copy: reloaded, stack: open(reloaded) }
}

it("a reload during undo leaves the rest to undo, and what was undone to redo", async () => {
  const { ours, ids, stack } = await setup()
  let after: ReturnType<typeof reload> | null = null
  interruptAfter(ours, 2, () => {
    after ??= reload(stack, ours)
  })
  await stack.undo("CFO")
  const page = after as ReturnType<typeof reload> | null
  if (!page) throw new Error("the page was not reloaded")
  expect(budgetsOf(page.copy, ids)).toEqual([5, 5, 1, 1])
  expect(page.stack.state).toEqual({ undo: "filling of 4 cells", redo: "filling of 4 cells" })
  expect(await page.stack.undo("CFO")).toMatchObject({ hasChanged: true, kept: [] })
  expect(budgetsOf(page.copy, ids)).toEqual([1, 1, 1, 1])
  expect(page.stack.state.undo).toBeNull()
  await page.stack.redo("CFO")
  await page.stack.redo("CFO")
  expect(budgetsOf(page.copy, ids)).toEqual([5, 5, 5, 5])
  expect(page.stack.state.redo).toBeNull()
})

it("a reload during redo leaves the rest to redo", async () => {
  const { ours, ids, stack } = await setup()
  await stack.undo("CFO")
  let after: ReturnType<typeof reload> | null = null
  interruptAfter(ours, 1, () => {
    after ??= reload(stack, ours)
  })
  await stack.redo("CFO")
  const page = after as ReturnType<typeof reload> | null
  if (!page) throw new Error("the page was not reloaded")
  expect(budgetsOf(page.copy, ids)).toEqual([5, 1, 1, 1])
  expect(await page.stack.redo("CFO")).toMatchObject({ hasChanged: true, kept: [] })
  expect(budgetsOf(page.copy, ids)).toEqual([5, 5, 5, 5])
  await page.stack.undo("CFO")
  await page.stack.undo("CFO")
  expect(budgetsOf(page.copy, ids)).toEqual([1, 1, 1, 1])
})

it("a part that fails leaves the rest to undo", async () => {
  const { ours, ids, stack } = await setup()
  const { change } = ours
  interruptAfter(ours, 2, () => {
    throw new Error("outdated")
  })
  await expect(stack.undo("CFO")).rejects.toThrow("outdated")
  ours.change = change
  expect(budgetsOf(ours, ids)).toEqual([5, 5, 1, 1])
  expect(await open(ours.fork()).undo("CFO")).toMatchObject({ hasChanged: true })
  expect(await stack.undo("CFO")).toMatchObject({ hasChanged: true, kept: [] })
  expect(budgetsOf(ours, ids)).toEqual([1, 1, 1, 1])
})

it("undo of an action that failed halfway undoes the rest", async () => {
  const { ours, ids, stack } = await setup()
  const action = stack.find("filling of 4 cells")
  if (!action) throw new Error("there is no action")
  const { change } = ours
  interruptAfter(ours, 3, () => {
    throw new Error("outdated")
  })
  await expect(stack.undoAction(action, "CFO")).rejects.toThrow("outdated")
  ours.change = change
  expect(await stack.undoAction(action, "CFO")).toMatchObject({ hasChanged: true, kept: [] })
  expect(budgetsOf(ours, ids)).toEqual([1, 1, 1, 1])
  expect(stack.find("filling of 4 cells")).toBeNull()
})

it("an edit that fails leaves the finished ones to undo", async () => {
  const { ours } = createCopies()
  const ids = addPositions(ours, Array(2).fill(newPosition({ designation: "Cook", budget: 1 })), "CFO")
  const stack = open(ours)
  const fail = () => {
    throw new Error("outdated")
  }
  await expect(stack.recordPortions("filling", [...ids.map((id) => edit(ours, id, 5)), fail])).rejects.toThrow("outdated")
  expect(await open(ours.fork()).undo("CFO")).toMatchObject({ hasChanged: true, kept: [] })
})

it("an edit of another tab keeps the action that is being written", async () => {
  const { id, ours } = createCopies()
  const ids = addPositions(ours, Array(5).fill(newPosition({ designation: "Cook", budget: 1 })), "CFO")
  const stack = open(ours)
  const other = open(ours)
  const announce = () => window.dispatchEvent(Object.assign(new Event("storage"), { key: KEY }))
  await stack.recordPortions(
    "filling of 5 cells",
    ids.map((cook) => edit(ours, cook, 5)),
    (done) => {
      if (done === 2 || done === 4) {
        // The other tab has read what was saved last.
        other.record(`edit ${done}`, edit(ours, id, done), (targets) => targets)
        announce()
      }
      return true
    },
  )
  expect(stack.find("filling of 5 cells")?.parts).toHaveLength(5)
  for (const budget of [5, 1]) {
    for (let undone = 0; undone < 3; undone += 1) await stack.undo("CFO")
    expect(budgetsOf(ours, ids)).toEqual(Array(5).fill(1))
    expect(stack.state.undo).toBeNull()
    if (budget === 1) break
    for (let redone = 0; redone < 3; redone += 1) await stack.redo("CFO")
    expect(budgetsOf(ours, ids)).toEqual(Array(5).fill(5))
  }
  other.close()
})

it("an edit of another tab keeps the action that is being undone", async () => {
  const { ours, ids, stack } = await setup()
  const [first = ""] = ids
  interruptAfter(ours, 2, () => {
    localStorage.setItem(KEY, JSON.stringify({ undo: [], redo: [], actors: [] }))
    window.dispatchEvent(Object.assign(new Event("storage"), { key: KEY }))
  })
  expect(await stack.undo("CFO")).toMatchObject({ hasChanged: true, kept: [] })
  expect(ours.row(first).budget).toBe(1)
  expect(stack.state).toEqual({ undo: null, redo: "filling of 4 cells" })
  await stack.redo("CFO")
  expect(budgetsOf(ours, ids)).toEqual([5, 5, 5, 5])
})

it("a stack that another tab has dropped to make room stays in this page", async () => {
  const { stack } = await setup()
  localStorage.removeItem(KEY)
  window.dispatchEvent(Object.assign(new Event("storage"), { key: KEY, newValue: null }))
  expect(stack.state.undo).toBe("filling of 4 cells")
})

it("actions that an earlier version stored without ids can be undone", async () => {
  const { ours, ids } = await setup()
  localStorage.setItem(
    KEY,
    JSON.stringify(JSON.parse(localStorage.getItem(KEY) ?? ""), (key, value) => (key === "id" ? undefined : value)),
  )
  const stack = open(ours.fork())
  expect(await stack.undo("CFO")).toMatchObject({ hasChanged: true, kept: [] })
  expect(stack.state).toEqual({ undo: null, redo: "filling of 4 cells" })
  expect(ids).toHaveLength(4)
})
