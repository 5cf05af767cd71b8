import { describe, expect, it } from "vitest"
import { previewAddress, toPreview } from "../../src/sync/preview"

describe("the preview of a plan", () => {
  it("reads the answers of the API like the document", () => {
    const { settings, positions, departmentBudgets } = toPreview(
      "plan",
      { name: "Growth", currency: "INR", unit: 100_000, totalBudget: 2000, yearStart: null, departmentBudgets: { HR: 40, Sales: "x" } },
      [
        {
          id: "a",
          designation: "Cook",
          department: "HR",
          budget: 11.5,
          location: "Pune",
          updatedAt: "2027-01-02T00:00:00Z",
          updatedBy: "CFO",
        },
        { id: "b", designation: "Host", department: "", budget: null, location: "", status: "frozen" },
        { id: "c", designation: "Guest", budget: "a lot" },
        { id: "d", value: "no map" },
      ],
    )
    expect(settings).toMatchObject({ name: "Growth", currency: "INR", unit: 100_000, totalBudget: 2000, yearStart: null })
    expect(positions).toMatchObject([
      { id: "a", designation: "Cook", budget: 11.5, updatedAt: Date.UTC(2027, 0, 2), updatedBy: "CFO" },
      { id: "b", budget: null, status: null, mistyped: { status: "frozen" } },
      { id: "c", budget: null, mistyped: { budget: "a lot" } },
      { id: "d", invalidEntry: "no map" },
    ])
    expect(departmentBudgets).toMatchObject([
      { name: "HR", amount: 40, mistyped: null },
      { name: "Sales", amount: null, mistyped: '"x"' },
    ])
  })

  it("shows the columns of the plan", () => {
    const { positions, columns } = toPreview("plan", { columns: { col1: { title: "Seats", type: "number" } } }, [
      { id: "a", designation: "Cook", extra: { col1: 3, notes: "other" } },
      { id: "b", designation: "Host", extra: { col1: "many" } },
    ])
    expect(columns.own).toMatchObject([{ key: "col1", label: "Seats", kind: "number" }])
    expect(positions).toMatchObject([{ own: { col1: 3 } }, { mistyped: { col1: "many" } }])
  })

  it.each([
    ["", { plan: null }],
    ["#", { plan: null }],
    ["#4NMNnkMhL8jXrdJ9jamS58PAVdXu", { plan: "4NMNnkMhL8jXrdJ9jamS58PAVdXu" }],
    ["#automerge:4NMNnkMhL8jXrdJ9jamS58PAVdXu", { plan: "4NMNnkMhL8jXrdJ9jamS58PAVdXu" }],
    ["#4NMNnkMhL8jXrdJ9jamS58PAVdXu?search=QA", null],
    ["#?search=QA", null],
    ["#list", null],
  ])("the address %j names %j", (hash, plan) => {
    expect(previewAddress(hash)).toEqual(plan)
  })
})
