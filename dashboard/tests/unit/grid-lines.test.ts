import { expect, it } from "vitest"
import { groupedLines, headId, plainLines, positionNear } from "../../src/grid/grid-lines"
import { groupRows } from "../../src/plan/grouping"
import { shownPosition } from "./support/position"

const position = (id: string, department: string, budget: number | null = 1) => shownPosition({ id, designation: id, department, budget })

const LIST = [position("a", "Sales", 5), position("b", "HR"), position("c", "sales ", null), position("d", ""), position("e", "HR", 2.5)]
const groups = groupRows(LIST, "department", null)
const shape = (collapsed: string[], pinned: string | null = null) =>
  groupedLines(groups, new Set(collapsed), pinned).lines.map((line) =>
    line.kind === "group" ? `${line.group.name || "None"}${line.isCollapsed ? " …" : ""}` : `${line.number} ${line.position.id}`,
  )

it("groups are in order, and keep the order of their positions", () => {
  expect(shape([])).toEqual(["HR", "1 b", "2 e", "Sales", "3 a", "4 c", "None", "5 d"])
  expect(groups.map(({ name, count, budget }) => [name, count, budget])).toEqual([
    ["HR", 2, 3.5],
    ["Sales", 2, 5],
    ["", 1, 1],
  ])
})

it("sorting by the field of the groups reverses them", () => {
  const names = (ascending: boolean) => groupRows(LIST, "department", { key: "department", ascending }).map(({ name }) => name)
  expect(names(true)).toEqual(["HR", "Sales", ""])
  expect(names(false)).toEqual(["Sales", "HR", ""])
})

it("choices keep their order", () => {
  const list = (["open", null, "proposed", "filled"] as const).map((status, at) => shownPosition({ id: String(at), status }))
  expect(groupRows(list, "status", null).map(({ name }) => name)).toEqual(["Proposed", "Open", "Filled", ""])
})

it("collapsed groups show their head, and the edited row", () => {
  expect(shape(["hr", "unused"])).toEqual(["HR …", "Sales", "3 a", "4 c", "None", "5 d"])
  expect(shape(["hr"], "e")).toEqual(["HR …", "2 e", "Sales", "3 a", "4 c", "None", "5 d"])
})

it("lines and positions are mapped to each other", () => {
  const lines = groupedLines(groups, new Set(["hr"]), null)
  expect(lines.positions.map(({ id }) => id)).toEqual(["a", "c", "d"])
  expect(lines.lineOf).toEqual([2, 3, 5])
  expect(lines.lineOf.map((at) => lines.lines[at])).toMatchObject(lines.positions.map((position) => ({ kind: "position", position })))
  expect([...lines.lineOfHead]).toEqual([
    [headId("hr"), 0],
    [headId("sales"), 1],
    [headId(""), 4],
  ])
})

it("a head stands for the position above it", () => {
  const lines = groupedLines(groups, new Set(["hr"]), null)
  expect([0, 1, 2, 3, 4, 5, 9].map((line) => positionNear(lines, line))).toEqual([0, 0, 0, 1, 1, 2, 2])
  expect(positionNear(groupedLines(groups, new Set(["hr", "sales", ""]), null), 1)).toBeNull()
})

it("a list without groups has one line for each position", () => {
  const { lines, lineOf } = plainLines(LIST)
  expect(lineOf).toEqual([0, 1, 2, 3, 4])
  expect(lines.map((line) => line.kind === "position" && line.number)).toEqual([1, 2, 3, 4, 5])
})
