import { expect, it } from "vitest"
import { formatView, NO_VIEW, normalizeView, parseView } from "../../src/plan/view"

it("a view is read as it was written", () => {
  const view = {
    filter: { search: "r&d = 50 %", groups: { department: "r&d labs", location: "navi mumbai" } },
    sort: { key: "budget", ascending: false },
    group: "department",
    collapsed: new Set(["", "sales, north"]),
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
