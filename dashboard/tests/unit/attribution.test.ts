import { afterEach, beforeEach, expect, it, vi } from "vitest"
import { Attribution } from "../../src/history/attribution"

/** Users known to the stub server, and the requests it received. */
let users: Record<string, string | null>
let asked: string[][]
let options: RequestInit[]
let hold: Promise<void> | null
let shown: Record<string, string>

beforeEach(() => {
  users = {}
  asked = []
  options = []
  hold = null
  shown = {}
  vi.stubGlobal("fetch", async (url: string, init: RequestInit) => {
    const hashes = (new URL(url, "http://server").searchParams.get("changes") ?? "").split(",")
    asked.push(hashes)
    options.push(init)
    const changes = hashes.flatMap((hash) => (hash in users ? [{ hash, user: users[hash] }] : []))
    await hold
    init.signal?.throwIfAborted()
    return Response.json({ changes })
  })
})
afterEach(() => vi.unstubAllGlobals())

const create = () =>
  new Attribution("plan", (found) => {
    shown = Object.fromEntries(found)
  })

it("each change is requested once", async () => {
  users = { a: "ceo", b: null, c: "cfo" }
  const attribution = create()
  attribution.request(["a", "b"], true)
  await vi.waitFor(() => expect(shown).toEqual({ a: "ceo" }))
  attribution.request(["c", "a", "b"], true)
  await vi.waitFor(() => expect(shown).toEqual({ a: "ceo", c: "cfo" }))
  attribution.request(["c", "a", "b"], true)
  expect(asked).toEqual([["a", "b"], ["c"]])
  expect(options.every(({ cache }) => cache === "no-store")).toBe(true)
})

it("one request runs at a time, newest changes first", async () => {
  let release = () => {}
  hold = new Promise((done) => {
    release = done
  })
  const attribution = create()
  attribution.request(["a"], true)
  attribution.request(["b", "a"], true)
  const many = Array.from({ length: 150 }, (_, at) => `c${at}`)
  attribution.request([...many, "b", "a"], true)
  expect(asked).toEqual([["a"]])
  release()
  await vi.waitFor(() => expect(asked).toEqual([["a"], many.slice(0, 100), [...many.slice(100), "b"]]))
})

it("changes missing on the server are requested again", async () => {
  const attribution = create()
  attribution.request(["a"], false)
  await vi.waitFor(() => expect(asked).toEqual([["a"]]))
  users = { a: "ceo" }
  attribution.request(["a"], true)
  await vi.waitFor(() => expect(shown).toEqual({ a: "ceo" }))
})

it("a failed request is repeated", async () => {
  const answering = fetch
  vi.stubGlobal("fetch", async () => new Response("", { status: 503 }))
  const attribution = create()
  attribution.request(["a"], true)
  await new Promise((done) => setTimeout(done))
  vi.stubGlobal("fetch", answering)
  users = { a: "ceo" }
  attribution.request(["a"], true)
  await vi.waitFor(() => expect(shown).toEqual({ a: "ceo" }))
})

it("closing aborts the request and its callback", async () => {
  let release = () => {}
  hold = new Promise((done) => {
    release = done
  })
  users = { a: "ceo" }
  const attribution = create()
  attribution.request(["a"], true)
  attribution.close()
  expect(options[0]?.signal?.aborted).toBe(true)
  release()
  await new Promise((done) => setTimeout(done))
  expect(shown).toEqual({})
})
