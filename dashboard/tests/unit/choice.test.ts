import { describe, expect, it } from "vitest"
import { isChoice, parseChoice } from "../../src/plan/choice"
import { parseInput, parseValue } from "../../src/plan/input"

const parse = (text: string, isTyped = false) => {
  const read = parseChoice("status", text, isTyped)
  return "value" in read ? read.value : read.problem
}
const REFUSED = "is not a status. Choose Proposed, Approved, Open or Filled."

describe("a status", () => {
  it("is read in any case and spacing", () => {
    for (const text of ["approved", "Approved", " APPROVED ", "Ａpproved", "ap\u00adproved"]) expect(parse(text)).toBe("approved")
    for (const text of ["", "  ", "-", "–"]) expect(parse(text)).toBeNull()
  })

  it("is typed by its first letters, and pasted in full", () => {
    expect(["p", "ap", "OP", "fil"].map((text) => parse(text, true))).toEqual(["proposed", "approved", "open", "filled"])
    expect(parse("ap")).toBe(`“ap” ${REFUSED}`)
    expect(parse("frozen", true)).toBe(`“frozen” ${REFUSED}`)
    const settings = { name: "", currency: "INR", unit: 1, totalBudget: null, yearStart: null }
    expect(parseInput("status", "f", settings)).toEqual({ value: "filled" })
    expect(parseValue("status", "f", settings)).toHaveProperty("problem")
    expect(parseInput("start", "Jun 2027", settings)).toEqual({ value: "2027-06" })
  })

  it("is stored in one spelling only", () => {
    expect(["proposed", "Approved", "approved ", "frozen", ""].map((value) => isChoice("status", value))).toEqual([
      true,
      false,
      false,
      false,
      false,
    ])
  })
})
