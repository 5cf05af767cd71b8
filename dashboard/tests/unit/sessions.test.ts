import { describe, expect, it } from "vitest"
import type { HistoryEntry, HistoryEvent } from "../../src/history/events"
import { groupBySession, type HistorySession, SESSION_GAP_MS, type SessionEntry, summarizeSession } from "../../src/history/sessions"

const MINUTE = 60_000

const set = (field: string, position: string | null = "a"): HistoryEvent => ({
  ...{ kind: "set" as const, position, name: "Cook", field, old: 1, new: 2 },
})

let made = 0
/** `minutes`: the time of the change. */
const entry = (author: string, minutes: number | null, events: HistoryEvent[] = [set("budget")], omitted = 0): HistoryEntry => {
  made += 1
  const time = minutes === null ? null : minutes * MINUTE
  return { hash: `hash ${made}`, time, author, message: "", events, omitted }
}

/** Entries with their indices; the newest comes first. */
const listed = (...entries: HistoryEntry[]): SessionEntry[] => entries.map((entry, at) => ({ entry, index: entries.length - 1 - at }))

const shape = (sessions: readonly HistorySession[]) =>
  sessions.map(({ author, entries, start, end }) => [
    author,
    entries.map(({ index }) => index),
    start && start / MINUTE,
    end && end / MINUTE,
  ])

describe("groupBySession", () => {
  it("joins the entries of one person with small gaps", () => {
    const entries = listed(entry("CFO", 100), entry("CFO", 75), entry("CFO", 50), entry("CFO", 19))
    expect(shape(groupBySession(entries, false))).toEqual([
      ["CFO", [3, 2, 1], 50, 100],
      ["CFO", [0], 19, 19],
    ])
  })

  it("keeps people apart who work at the same time", () => {
    const entries = listed(entry("CFO", 14), entry("CEO", 13), entry("CFO", 12), entry("CEO", 11))
    expect(shape(groupBySession(entries, false))).toEqual([
      ["CFO", [3, 1], 12, 14],
      ["CEO", [2, 0], 11, 13],
    ])
  })

  it("keeps an offline edit that arrived later out of the session", () => {
    const entries = listed(entry("CFO", 5_000), entry("CFO", 100), entry("CFO", 4_990))
    expect(shape(groupBySession(entries, false))).toEqual([
      ["CFO", [2, 0], 4_990, 5_000],
      ["CFO", [1], 100, 100],
    ])
  })

  it("leaves an entry without a time beside its neighbour", () => {
    const entries = listed(entry("CFO", 10), entry("CFO", null), entry("CEO", 9), entry("CFO", null))
    expect(shape(groupBySession(entries, false))).toEqual([
      ["CFO", [3, 2], 10, 10],
      ["CEO", [1], 9, 9],
      ["CFO", [0], null, null],
    ])
  })

  it("loses no entry and keeps their order", () => {
    const entries = listed(...Array.from({ length: 200 }, (_, at) => entry(`Person ${(at * 7) % 3}`, 10_000 - ((at * 37) % 400))))
    const sessions = groupBySession(entries, true)
    expect(sessions.flatMap((session) => session.entries.map(({ index }) => index)).sort((one, other) => one - other)).toEqual(
      entries.map(({ index }) => index).sort((one, other) => one - other),
    )
    for (const { entries } of sessions) {
      const indices = entries.map(({ index }) => index)
      expect(indices).toEqual(indices.toSorted((one, other) => other - one))
    }
  })

  it("marks the sessions that may go on in entries that were not read", () => {
    const gap = SESSION_GAP_MS / MINUTE
    const entries = listed(entry("Board", 500), entry("CFO", 100), entry("CEO", 100 - gap))
    const isOpen = (hasMore: boolean) => groupBySession(entries, hasMore).map((session) => [session.author, session.isOpen])
    expect(isOpen(false)).toEqual([
      ["Board", false],
      ["CFO", false],
      ["CEO", false],
    ])
    expect(isOpen(true)).toEqual([
      ["Board", false],
      ["CFO", true],
      ["CEO", true],
    ])
  })
})

describe("summarizeSession", () => {
  const summary = (hasMore: boolean, ...entries: HistoryEntry[]) =>
    groupBySession(listed(...entries), hasMore).map((session) => summarizeSession(session))

  it("counts fields, positions and comments", () => {
    expect(summary(false, entry("CFO", 1, [set("budget"), set("budget")]), entry("CFO", 1, [set("status")]))).toEqual([
      "2 budgets, 1 status",
    ])
    expect(summary(false, entry("CFO", 1, [set("status"), set("status")]))).toEqual(["2 statuses"])
    const added: HistoryEvent = { kind: "added", position: "b", name: "Waiter" }
    const comment: HistoryEvent = { kind: "comment", position: "a", name: "Cook", action: "added", text: "Why?" }
    expect(summary(false, entry("CFO", 1, [added]), entry("CFO", 1, [{ ...added, kind: "deleted", heads: [] }, comment]))).toEqual([
      "1 position added, 1 position deleted, 1 comment",
    ])
    expect(summary(false, entry("CFO", 1, [set("totalBudget", null), set("headcount"), set("headcount")]))).toEqual([
      "2 changes of headcount, 1 setting",
    ])
    const shared = [set("versions/a", null), set("departmentBudgets/HR", null), set("departmentBudgets/Sales", null)]
    expect(summary(false, entry("CFO", 1, shared))).toEqual(["2 department budgets, 1 named version"])
  })

  it("counts what it does not name", () => {
    const many = [..."aaaa"].map(() => set("budget"))
    const events = [...many, set("location"), set("location"), set("location"), set("start"), set("start"), set("end")]
    expect(summary(false, entry("CFO", 1, events))).toEqual(["4 budgets, 3 locations, 2 starts, 1 more change"])
    expect(summary(false, entry("CFO", 1, [{ kind: "added", position: "b", name: "" }], 4_800))).toEqual([
      "1 position added, 4,800 more changes",
    ])
    expect(summary(false, entry("CFO", 1, []))).toEqual(["1 change"])
  })

  it("says that a session may be longer", () => {
    expect(summary(true, entry("CFO", 1))).toEqual(["1 budget or more"])
  })
})
