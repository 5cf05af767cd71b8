/** The stored stack of actions. */
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
const set = (stack: UndoStack, copy: Copy, id: string, budget: number) =>
  stack.record(
    `edit to ${budget}`,
    () => setField(copy, id, "budget", budget, "CFO"),
    () => ({ cells: { budget: [id] } }),
  )

it("undo and redo follow the order of the actions", async () => {
  const { id, ours } = createCopies()
  const stack = open(ours)
  for (const budget of [2, 3, 4]) set(stack, ours, id, budget)
  expect(stack.state).toEqual({ undo: "edit to 4", redo: null })
  await stack.undo("CFO")
  await stack.undo("CFO")
  expect(ours.values(id, "budget")).toEqual([2])
  expect(stack.state).toEqual({ undo: "edit to 2", redo: "edit to 3" })
  await stack.redo("CFO")
  expect(ours.values(id, "budget")).toEqual([3])
  set(stack, ours, id, 9)
  expect(stack.state).toEqual({ undo: "edit to 9", redo: null })
  expect(await stack.redo("CFO")).toBeNull()
})

it("actions survive a reload, with another actor", async () => {
  const { id, ours } = createCopies()
  const stack = open(ours)
  for (const budget of [2, 3]) set(stack, ours, id, budget)
  await stack.undo("CFO")
  // A reloaded page has another actor.
  const reloaded = ours.fork()
  const after = open(reloaded)
  expect(after.state).toEqual({ undo: "edit to 2", redo: "edit to 3" })
  expect(await after.redo("CFO")).toMatchObject({ hasChanged: true, kept: [] })
  await after.undo("CFO")
  expect(await after.undo("CFO")).toMatchObject({ hasChanged: true, kept: [] })
  expect(reloaded.values(id, "budget")).toEqual([1])
})

it("a large action is one entry", async () => {
  const { ours } = createCopies()
  const stack = open(ours)
  const ids = addPositions(ours, Array(3).fill(newPosition({ designation: "Cook", budget: 1 })), "CFO")
  const edits = ids.map((id) => () => {
    setField(ours, id, "budget", 5, "CFO")
    return { cells: { budget: [id] } }
  })
  await stack.recordPortions("filling of 3 cells", edits)
  await stack.undo("CFO")
  expect(ids.map((id) => ours.row(id).budget)).toEqual([1, 1, 1])
  await stack.redo("CFO")
  expect(ids.map((id) => ours.row(id).budget)).toEqual([5, 5, 5])
  await stack.undo("CFO")
  expect(ids.map((id) => ours.row(id).budget)).toEqual([1, 1, 1])
  expect(stack.state.undo).toBeNull()
})

it("an edit without effect is not recorded", () => {
  const { ours } = createCopies()
  const stack = open(ours)
  const { action } = stack.record(
    "nothing",
    () => undefined,
    () => ({ rows: ["a"] }),
  )
  expect(action).toBeNull()
  expect(stack.state.undo).toBeNull()
})

it("actions that the copy does not contain are dropped", async () => {
  const { id, ours, theirs } = createCopies()
  set(open(ours), ours, id, 2)
  // After a crash, the local copy is older.
  const stack = open(theirs)
  expect(await stack.undo("CFO")).toBeNull()
  expect(stack.state.undo).toBeNull()
})

it("the stored actions are bounded, the oldest go first", async () => {
  const { id, ours } = createCopies()
  const stack = open(ours)
  const many = Array.from({ length: 5_000 }, (_, at) => `position-number-${at}`)
  for (let budget = 2; budget < 12; budget += 1)
    stack.record(
      `edit to ${budget}`,
      () => setField(ours, id, "budget", budget, "CFO"),
      () => ({ cells: { budget: [id, ...many] } }),
    )
  const stored = localStorage.getItem(KEY) ?? ""
  expect(stored.length).toBeLessThan(1_000_000)
  expect(stored).toContain("edit to 11")
  expect(stored).not.toContain("edit to 2")
})

it("unreadable actions are dropped", () => {
  const { ours } = createCopies()
  for (const text of ["{", "[]", '{"undo":1}', "null"]) {
    localStorage.setItem(KEY, text)
    expect(open(ours).state).toEqual({ undo: null, redo: null })
  }
})

it("tabs share their actions", () => {
  const { id, ours } = createCopies()
  const [one, other] = [open(ours), open(ours)]
  set(one, ours, id, 2)
  window.dispatchEvent(Object.assign(new Event("storage"), { key: KEY }))
  expect(other.state.undo).toBe("edit to 2")
  other.close()
})
