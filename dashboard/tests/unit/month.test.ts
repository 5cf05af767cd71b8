import { describe, expect, it } from "vitest"
import { type DateOrder, dateOrderOf, monthNames } from "../../src/plan/calendar"
import { isMonth, parseMonth, shiftMonth } from "../../src/plan/month"
import { defaultYearStart, monthsFrom } from "../../src/plan/year"

const parse = (text: string, order: DateOrder = null) => {
  const read = parseMonth(text, order)
  return "value" in read ? read.value : read.problem
}

describe("a month", () => {
  it.each([
    "2027-06",
    "2027-6",
    "2027/06",
    "2027.06",
    "6/2027",
    "06-2027",
    "06.2027",
    " 06 / 2027 ",
    "Jun 2027",
    "june 2027",
    "JUNE, 2027",
    "2027 Jun",
    "Jun-2027",
    "Jun. 2027",
    "Jun'27",
    "June 27",
    "Jun-27",
    "jun27",
    "２０２７-０６",
    "2027‑06",
  ])("is typed as %j", (text) => expect(parse(text)).toBe("2027-06"))

  it.each([
    "2027-06-15",
    "2027-06-15T09:30:00.000Z",
    "2027-06-15 00:00:00",
    "15 June 2027",
    "15th June 2027",
    "June 15, 2027",
    "June 1st, 2027",
    "15-Jun-2027",
    "15-Jun-27",
    "15/06/2027",
    "6/15/2027",
    "06-06-2027",
    "05.06.2027",
  ])("is that of the date %j", (text) => expect(parse(text)).toBe("2027-06"))

  it.each(["", "  ", "-", "–", "\u200b"])("is missing from %j", (text) => expect(parse(text)).toBeNull())

  it.each([
    "June",
    "27 Jun",
    "6",
    "2027",
    "13/2027",
    "0/2027",
    "2027-13",
    "1899-12",
    "10000-01",
    "2027-06-31",
    "31/06/2027",
    "32 June 2027",
    "6/27",
    "01/06/27",
    "06/27/15",
    "Q2 2027",
    "June July 2027",
    "soon",
    "2027-06 + 1",
    "-2027-06",
    "=2027-06",
    "2027-06-15-20",
    "June 5",
  ])("is not guessed from %j", (text) => expect(parse(text)).toMatch(/ is not a month\. Enter a month, such as 2027-06 or Jun 2027\.$/))

  it("is not guessed from a date that may be two", () => {
    expect(parse("05/06/2027")).toBe("“05/06/2027” may be 2027-05 or 2027-06. Enter the month, such as 2027-05.")
    expect(parse("05/06/2027", "day")).toBe("2027-06")
    expect(parse("05/06/2027", "month")).toBe("2027-05")
    expect(["15/06/2027", "6-15-2027", "05/06/2027", "2027-06-15"].map(dateOrderOf)).toEqual(["day", "month", null, null])
  })

  it("is named in English and in the language of the browser", () => {
    const read = (text: string, language: string) => parseMonth(text, null, monthNames(language))
    expect(read("März 2027", "de")).toEqual({ value: "2027-03" })
    expect(read("15. Dez. 2027", "de")).toEqual({ value: "2027-12" })
    expect(read("août 2027", "fr")).toEqual({ value: "2027-08" })
    expect(read("August 2027", "fr")).toEqual({ value: "2027-08" })
    expect(read("जून 2027", "hi")).toEqual({ value: "2027-06" })
    expect(read("2027年6月", "ja"), "not supported, and refused").toHaveProperty("problem")
  })

  it("is stored in one form only", () => {
    expect(["2027-06", "1900-01", "9999-12"].every(isMonth)).toBe(true)
    expect(["2027-6", "2027-00", "2027-13", "1899-12", "2027-06-01", "June", " 2027-06", ""].some(isMonth)).toBe(false)
  })

  it("is shifted across years and never out of range", () => {
    expect(shiftMonth("2027-11", 3)).toBe("2028-02")
    expect(shiftMonth("2027-02", -14)).toBe("2025-12")
    expect(shiftMonth("9999-12", 1)).toBe("9999-12")
  })
})

describe("the year of a plan", () => {
  it("starts in April for rupees and in January otherwise", () => {
    expect(defaultYearStart("INR", "2027-04")).toBe("2027-04")
    expect(defaultYearStart("INR", "2027-12")).toBe("2027-04")
    expect(defaultYearStart("INR", "2028-03")).toBe("2027-04")
    expect(defaultYearStart("USD", "2028-03")).toBe("2028-01")
  })

  it("has twelve months", () => {
    const months = monthsFrom("2027-04")
    expect([months.length, months[0], months.at(-1)]).toEqual([12, "2027-04", "2028-03"])
  })
})
