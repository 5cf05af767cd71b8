import { readFileSync } from "node:fs"
import { describe, expect, it } from "vitest"
import { validateAuthorName } from "../../src/plan/author-name"
import { countCharacters, foldText, isBlank } from "../../src/plan/text"
import { validateField } from "../../src/plan/validation"

interface Texts {
  blankRanges: [string, string][]
  names: { name: string; isAccepted: boolean; repeat?: number }[]
  folded: { text: string; key: string }[]
}
const { blankRanges, folded, names } = JSON.parse(
  readFileSync(`${import.meta.dirname}/../../../tests/fixtures/texts.json`, "utf8"),
) as Texts

describe("blank texts", () => {
  it("consist of the same characters as on the server", () => {
    const found: [string, string][] = []
    let start = -1
    for (let code = 0; code <= 0x110000; code += 1) {
      const isSurrogate = code >= 0xd800 && code < 0xe000
      const isInvisible = code < 0x110000 && !isSurrogate && isBlank(String.fromCodePoint(code))
      if (isInvisible && start < 0) start = code
      if (!isInvisible && start >= 0) {
        found.push([start.toString(16), (code - 1).toString(16)])
        start = -1
      }
    }
    expect(found).toEqual(blankRanges)
  })

  it.each(["", " ", "\u200b", "\ufeff", "\u00ad\u2060\u3000", "\u{e0020}"])("%j is not a valid designation", (text) => {
    expect(validateField("designation", text)).toBe("A position needs a designation.")
  })

  it.each(["a", "\u200ba", "👩‍🍳", "0"])("%j is a valid designation", (text) => expect(validateField("designation", text)).toBeNull())
})

it("lengths count characters as on the server", () => {
  expect(countCharacters("👩a")).toBe(2)
  expect(validateField("location", "👩".repeat(1_000))).toBeNull()
  expect(validateField("location", "a".repeat(1_001))).toContain("1,000 characters")
})

it.each(names)("the name $name is accepted: $isAccepted", ({ name, isAccepted, repeat = 1 }) => {
  expect(validateAuthorName(name.repeat(repeat)) === null).toBe(isAccepted)
})

it.each(folded)("$text is folded as on the server", ({ text, key }) => expect(foldText(text)).toBe(key))

it("folding ignores case, width, spacing and invisible characters", () => {
  for (const text of ["Kitchen", " kitchen", "KITCHEN\u00a0", "Kit\u200bchen", "Ｋitchen"]) expect(foldText(text)).toBe("kitchen")
  expect(foldText("Bogotá")).not.toBe(foldText("Bogota"))
})
