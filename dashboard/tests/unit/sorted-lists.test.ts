/** Lists that are patched give the same result as lists that are sorted again. */
import { describe, expect, it } from "vitest"
import { PlanColumns } from "../../src/plan/columns"
import { newestFirst, patchSorted } from "../../src/plan/newest-first"
import { PositionSorter, type Sort, sortPositions } from "../../src/plan/query"
import type { Position } from "../../src/plan/schema"
import { shownPosition } from "./support/position"

/** A generator of pseudorandom numbers below `most`. */
function randoms(seed: number): (most: number) => number {
  let state = seed
  return (most) => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
    return state % most
  }
}

const position = (id: number, random: (most: number) => number): Position =>
  shownPosition({
    id: `p${id}`,
    designation: `Engineer ${random(8)}`,
    budget: random(4) === 0 ? null : random(5),
    createdAt: random(6) === 0 ? null : random(40),
  })

/** Changes, adds and deletes some positions. Returns those before by id; `undefined` for new ones. */
function change(current: Map<string, Position>, random: (most: number) => number): Map<string, Position | undefined> {
  const changed = new Map<string, Position | undefined>()
  for (let count = random(6); count > 0; count -= 1) {
    const id = `p${random(90)}`
    if (!changed.has(id)) changed.set(id, current.get(id))
    const known = current.get(id)
    if (known && random(3) === 0) current.delete(id)
    else if (known && random(2) === 0) current.set(id, { ...known, budget: random(5) })
    else current.set(id, position(Number(id.slice(1)), random))
  }
  return changed
}

const start = (random: (most: number) => number) => {
  const all = Array.from({ length: 60 }, (_, at) => position(at, random))
  return new Map(all.map((one) => [one.id, one]))
}

describe("a list of positions", () => {
  it("is patched as if it were sorted again", () => {
    const random = randoms(7)
    const current = start(random)
    let list: readonly Position[] = [...current.values()].sort(newestFirst)
    for (let round = 0; round < 300; round += 1) {
      const changed = change(current, random)
      list = patchSorted(list, changed, current)
      expect(list).toEqual([...current.values()].sort(newestFirst))
    }
  })

  it("stays the same object if nothing differs", () => {
    const current = start(randoms(1))
    const list = [...current.values()].sort(newestFirst)
    expect(patchSorted(list, new Map([["p1", current.get("p1")]]), current)).toBe(list)
  })
})

describe("a sorted list", () => {
  it.each<Sort>([
    { key: "designation", ascending: true },
    { key: "designation", ascending: false },
    { key: "budget", ascending: true },
    { key: "budget", ascending: false },
    { key: "createdAt", ascending: true },
    { key: "createdAt", ascending: false },
  ])("follows changes as if it were sorted again: $key, ascending $ascending", (sort) => {
    const random = randoms(11)
    const columns = new PlanColumns([])
    const current = start(random)
    const sorter = new PositionSorter()
    for (let round = 0; round < 100; round += 1) {
      const list = [...current.values()].sort(newestFirst)
      const sorted = sorter.sort(list, sort, columns)
      expect(sorted).toEqual(sortPositions(list, sort, columns))
      change(current, random)
    }
  })

  it("is the same object while the positions are the same", () => {
    const columns = new PlanColumns([])
    const list = [...start(randoms(3)).values()].sort(newestFirst)
    const sorter = new PositionSorter()
    const sort: Sort = { key: "designation", ascending: true }
    const sorted = sorter.sort(list, sort, columns)
    expect(sorter.sort([...list], { ...sort }, columns)).toBe(sorted)
  })
})
