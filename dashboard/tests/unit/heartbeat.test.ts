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
  const made = new Heartbeat({ isOpen: () => true, buffered: () => buffered, onUnreachable: onDead })
  made.received()
  return made
}

it("a silent server is probed and kept if it answers", async () => {
  pulse()
  await vi.advanceTimersByTimeAsync(25_000)
  expect(ask).not.toHaveBeenCalled()
  await vi.advanceTimersByTimeAsync(5_000)
  expect(ask).toHaveBeenCalledTimes(1)
  await vi.advanceTimersByTimeAsync(29_000)
  expect(ask).toHaveBeenCalledTimes(1)
  expect(onDead).not.toHaveBeenCalled()
})

it("an unanswered message is probed sooner", async () => {
  ask.mockRejectedValue(new Error("unreachable"))
  pulse().sent()
  await vi.advanceTimersByTimeAsync(5_000)
  expect(ask).not.toHaveBeenCalled()
  await vi.advanceTimersByTimeAsync(5_000)
  expect(onDead).toHaveBeenCalledTimes(1)
})

it("a message during the probe counts as an answer", async () => {
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

it("a slow upload keeps the connection", async () => {
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

it("a hidden page does not probe until it is shown", async () => {
  pulse()
  page.show(false)
  await vi.advanceTimersByTimeAsync(120_000)
  expect(ask).not.toHaveBeenCalled()
  expect(vi.getTimerCount()).toBe(0)
  page.show(true)
  expect(ask).toHaveBeenCalledTimes(1)
})
