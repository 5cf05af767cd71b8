/** Mentions in comments. */
import { describe, expect, it } from "vitest"
import type { Comment } from "../../src/plan/comments"
import { matchingPeople, mentionsOf, splitMentions, typedMention } from "../../src/plan/mentions"

const NAMES = ["Asha", "Asha Rao", "cfo@example.com", "CEO", "Zoë-Ann"]
const mentioned = (text: string) => splitMentions(text, NAMES).flatMap(({ mention }) => mention ?? [])

describe("mentions", () => {
  it.each([
    ["@CEO, look", ["CEO"]],
    ["Ask @ceo.", ["CEO"]],
    ["(@Asha)", ["Asha"]],
    ["@Asha Rao and @Asha", ["Asha Rao", "Asha"]],
    ["@cfo@example.com please", ["cfo@example.com"]],
    ["@Zoë-Ann\n@CEO", ["Zoë-Ann", "CEO"]],
    ["@CEOs", []],
    ["mail@CEO", []],
    ["@CEO-office", []],
    ["CEO @ home", []],
    ["@@CEO", ["CEO"]],
  ])("in %s", (text, names) => {
    expect(mentioned(text)).toEqual(names)
  })

  it("split a text without losing any of it", () => {
    const text = "Hi @CEO and @nobody, see @Asha Rao!"
    expect(
      splitMentions(text, NAMES)
        .map((part) => part.text)
        .join(""),
    ).toBe(text)
  })

  it("are found while they are typed", () => {
    expect(typedMention("Hi @as", 6)).toEqual({ at: 3, query: "as" })
    expect(typedMention("Hi @Asha R", 10)).toEqual({ at: 3, query: "Asha R" })
    expect(typedMention("Hi @as there", 6)).toEqual({ at: 3, query: "as" })
    expect(typedMention("@", 1)).toEqual({ at: 0, query: "" })
    expect(typedMention("a@b", 3)).toBeNull()
    expect(typedMention("@as\n", 4)).toBeNull()
    expect(typedMention("hello", 5)).toBeNull()
  })

  it("are completed from the words of names", () => {
    expect(matchingPeople(NAMES, "")).toEqual(NAMES)
    expect(matchingPeople(NAMES, "ra")).toEqual(["Asha Rao"])
    expect(matchingPeople(NAMES, "asha r")).toEqual(["Asha Rao"])
    expect(matchingPeople(NAMES, "exam")).toEqual(["cfo@example.com"])
  })

  it("of me in unresolved comments of others are listed", () => {
    const of = (id: string, by: string, text: string, done = false): Comment => ({ id, by, at: 1, text, done })
    const comments = new Map([
      ["p", [of("a", "CFO", "@ceo look"), of("b", "CFO", "@CEO old", true), of("c", "CEO", "@CEO note"), of("d", "CFO", "@Asha Rao")]],
    ])
    const ids = (me: string) => mentionsOf(me, comments, NAMES).map(({ comment }) => comment.id)
    expect(ids("CEO")).toEqual(["a"])
    expect(ids("Asha")).toEqual([])
    expect(ids("Asha Rao")).toEqual(["d"])
    expect(ids("")).toEqual([])
  })
})
