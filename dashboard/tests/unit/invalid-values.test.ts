/** Values that other programs wrote and that do not fit their field: listed for review. */
import { describe, expect, it } from "vitest"
import { PlanColumns } from "../../src/plan/columns"
import { keyOf } from "../../src/plan/fields"
import { invalidValues } from "../../src/plan/invalid-values"
import { planColumn } from "./support/columns"
import { shownPosition } from "./support/position"

const columns = new PlanColumns([planColumn("col1", { kind: "number" }), planColumn("col2", { isDeleted: true })])
const listed = (positions: Parameters<typeof invalidValues>[0]) =>
  invalidValues(positions, columns).listed.map(({ id, field, text }) => [id, field && keyOf(field), text])

describe("invalid values", () => {
  it("are listed by position and column", () => {
    const positions = [
      shownPosition({ id: "a", mistyped: { status: "frozen", budget: "twelve", col1: "many" } as never }),
      shownPosition({ id: "b" }),
      shownPosition({ id: "c", invalidEntry: "5" }),
    ]
    expect(listed(positions)).toEqual([
      ["a", "budget", "twelve"],
      ["a", "status", "frozen"],
      ["a", "col1", "many"],
      ["c", null, "5"],
    ])
  })

  it("leave out those of deleted columns", () => {
    expect(listed([shownPosition({ mistyped: { col2: "x" } as never })])).toEqual([])
  })

  it("are shortened, and counted beyond a hundred", () => {
    const positions = Array.from({ length: 130 }, (_, at) => shownPosition({ id: String(at), mistyped: { budget: "x".repeat(500) } }))
    const { listed, others } = invalidValues(positions, columns)
    expect([listed.length, others]).toEqual([100, 30])
    expect(listed[0]?.text).toBe(`${"x".repeat(40)}…`)
  })
})
