import { afterEach, beforeEach, expect, it, vi } from "vitest"
import { Heartbeat } from "../../src/sync/heartbeat"

class Page extends EventTarget {
  hidden = false

  show(isShown: boolean): void {
    this.hidden = !isShown
    this.dispatchEvent(new Event("visibilitychange"))
  }
}

let page: Page
const ask = vi.fn<() => Promise<unknown>>()
const onDead = vi.fn()
let buffered = 0

beforeEach(() => {
  vi.useFakeTimers()
  page = new Page()
  vi.stubGlobal("document", page)
  vi.stubGlobal("fetch", ask)
  ask.mockReset().mockResolvedValue(null)
  onDead.mockReset()
  buffered = 0
})
afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

function pulse(): Heartbeat {
  const made = new Heartbeat({ isOpen: () => true, buffered: () => buffered, onDead })
  made.received()
  return made
}

it("a server that has been silent for half a minute is asked, and one that answers is left alone", async () => {
  pulse()
  await vi.advanceTimersByTimeAsync(25_000)
  expect(ask).not.toHaveBeenCalled()
  await vi.advanceTimersByTimeAsync(5_000)
  expect(ask).toHaveBeenCalledTimes(1)
  await vi.advanceTimersByTimeAsync(29_000)
  expect(ask).toHaveBeenCalledTimes(1)
  expect(onDead).not.toHaveBeenCalled()
})

it("what has no answer for ten seconds is asked after sooner, and who does not answer is gone", async () => {
  ask.mockRejectedValue(new Error("unreachable"))
  pulse().sent()
  await vi.advanceTimersByTimeAsync(5_000)
  expect(ask).not.toHaveBeenCalled()
  await vi.advanceTimersByTimeAsync(5_000)
  expect(onDead).toHaveBeenCalledTimes(1)
})

it("what comes meanwhile is an answer", async () => {
  const listening = pulse()
  ask.mockImplementation(async () => {
    listening.received()
    throw new Error("unreachable")
  })
  await vi.advanceTimersByTimeAsync(4_000)
  listening.sent()
  await vi.advanceTimersByTimeAsync(12_000)
  expect(ask).toHaveBeenCalledTimes(1)
  expect(onDead).not.toHaveBeenCalled()
})

it("what goes out slowly goes out", async () => {
  ask.mockRejectedValue(new Error("the line is full"))
  const sending = pulse()
  buffered = 1_000
  sending.sent()
  for (let at = 0; at < 20; at += 1) {
    await vi.advanceTimersByTimeAsync(5_000)
    sending.sent()
    buffered -= 10
  }
  expect(onDead).not.toHaveBeenCalled()
})

it("a hidden page asks nobody, and one that is shown again does at once", async () => {
  pulse()
  page.show(false)
  await vi.advanceTimersByTimeAsync(120_000)
  expect(ask).not.toHaveBeenCalled()
  expect(vi.getTimerCount()).toBe(0)
  page.show(true)
  expect(ask).toHaveBeenCalledTimes(1)
})
