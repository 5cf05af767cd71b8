import { describe, expect, it } from "vitest"
import { isDate, parseDate, shiftDate } from "../../src/plan/date"

const parse = (text: string, order: Parameters<typeof parseDate>[1] = null) => {
  const read = parseDate(text, order)
  return "value" in read ? read.value : read.problem
}

describe("a date", () => {
  it.each([
    "2027-06-15",
    "2027-6-15",
    "15/06/2027",
    "6/15/2027",
    "15.06.2027",
    "15 June 2027",
    "Jun 15, 2027",
    "15-Jun-27",
    "2027-06-15T09:30",
  ])("is typed as %j", (text) => expect(parse(text)).toBe("2027-06-15"))

  it.each(["", " ", "-", "–"])("is missing from %j", (text) => expect(parse(text)).toBeNull())

  it.each(["2027-06", "June 2027", "2027-02-29", "31 April 2027", "tomorrow", "15", "2027-06-15-1"])("is not %j", (text) =>
    expect(parse(text)).toBe(`“${text}” is not a date. Enter a date, such as 2027-06-15 or 15 Jun 2027.`),
  )

  it("may be two dates, unless the column shows the order", () => {
    expect(parse("05/06/2027")).toBe("“05/06/2027” may be 2027-05-06 or 2027-06-05. Enter the date, such as 2027-05-06.")
    expect([parse("05/06/2027", "day"), parse("05/06/2027", "month")]).toEqual(["2027-06-05", "2027-05-06"])
  })

  it("is stored in one form only", () => {
    expect(["2027-06-15", "2028-02-29", "2027-02-29", "2027-6-15", "1899-01-01"].map(isDate)).toEqual([true, true, false, false, false])
  })

  it("is moved by days and months", () => {
    expect(shiftDate("2027-12-31", 1)).toBe("2028-01-01")
    expect(shiftDate("2027-01-31", 0, 1)).toBe("2027-02-28")
    expect(shiftDate("2027-01-15", 0, -1)).toBe("2026-12-15")
    expect(shiftDate("9999-12-31", 1)).toBe("9999-12-31")
  })
})
