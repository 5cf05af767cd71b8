import { expect, it } from "vitest"
import type { HistorySession } from "../../src/history/sessions"
import { isExpanded, setExpanded, withNewSessions } from "../../src/ui/history/session-state"

const session = (...hashes: string[]): HistorySession => ({
  author: "CFO",
  entries: hashes.map((hash, index) => ({ entry: { hash, time: null, author: "CFO", message: "", events: [], omitted: 0 }, index })),
  start: null,
  end: null,
  isOpen: false,
})
const LONG = ["1", "2", "3", "4", "5", "6"]

it("long sessions are collapsed at first, except the newest", () => {
  const [newest, long, short] = [session("a", "b", "c", "d", "e", "f"), session(...LONG), session("x", "y")]
  const states = withNewSessions([newest, long, short], new Map())
  expect([newest, long, short].map((one) => isExpanded(one, states))).toEqual([true, false, true])
})

it("a session keeps its state while entries join it", () => {
  const states = withNewSessions([session("a"), session(...LONG)], new Map())
  const grown = session("new", ...LONG)
  const toggled = setExpanded(session(...LONG), true, states)
  expect(isExpanded(grown, withNewSessions([grown, session("a")], toggled))).toBe(true)
  expect(isExpanded(session("b", "a"), withNewSessions([session("b", "a"), grown], states))).toBe(true)
  // A short session that grows stays expanded.
  const small = session("6", "5", "4")
  const seen = withNewSessions([session("a"), small], new Map())
  const now = session("9", "8", "7", "6", "5", "4")
  expect(isExpanded(now, withNewSessions([session("a"), now], seen))).toBe(true)
})
