import { expect, it } from "vitest"
import { PlanColumns } from "../../src/plan/columns"
import { applicableView, describeView, formatView, NO_VIEW, normalizeView, parseView } from "../../src/plan/view"
import { choices, planColumn } from "./support/columns"

it("a view is read as it was written", () => {
  const view = {
    filter: { search: "r&d = 50 %", groups: { department: "r&d labs", location: "navi mumbai" } },
    sort: { key: "budget", ascending: false },
    group: "department",
    collapsed: new Set(["", "sales, north"]),
    hidden: new Set(["location", "end"] as const),
    others: [["columns", "budget,location"]],
  } as const
  expect(parseView(formatView(view))).toEqual(view)
})

it("the plain list is an empty text", () => {
  expect(formatView(NO_VIEW)).toBe("")
  expect(parseView("")).toEqual(NO_VIEW)
})

it("values that do not fit are ignored, unknown parameters are kept", () => {
  expect(parseView("sort=colour&group=budget&filter.department=&search=a&filter.colour=red&zoom=2")).toEqual({
    ...NO_VIEW,
    filter: { search: "a", groups: {} },
    others: [
      ["filter.colour", "red"],
      ["zoom", "2"],
    ],
  })
})

it("equal views are equal texts", () => {
  expect(normalizeView("group=location&sort=designation&search=x&collapsed=b&collapsed=a")).toBe(
    normalizeView("collapsed=a&search=x&collapsed=b&sort=designation&group=location"),
  )
  // Without groups, nothing is collapsed.
  expect(normalizeView("collapsed=a")).toBe("")
})

it("columns of the plan are written with a prefix, and kept until the plan has them", () => {
  const text = "filter.column.grade=a&sort=-column.grade&group=column.grade&hide=start&hide=column.old"
  const view = parseView(text)
  expect(formatView(view)).toBe(text)
  const { filter, sort, group, hidden } = applicableView(view, new PlanColumns([]))
  expect([filter.groups, sort, group, [...hidden]]).toEqual([{}, null, null, ["start"]])
  const columns = new PlanColumns([planColumn("grade", choices("A")), planColumn("old", {})])
  expect(applicableView(view, columns)).toBe(view)
  // Only choices group and filter.
  expect(applicableView(view, new PlanColumns([planColumn("grade", {}), planColumn("old", {})])).group).toBeNull()
  expect(describeView(text, columns)).toBe("Grade: a, sorted by Grade, descending, grouped by Grade, without start, Old")
})

it("the first column is never hidden, and reserved names are no columns", () => {
  expect(parseView("hide=designation&hide=column.comments&hide=colour").hidden.size).toBe(0)
})
