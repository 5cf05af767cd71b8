/** Screenshots and timings for docs/dashboard.md, measured by the browser. */
import { mkdirSync, writeFileSync } from "node:fs"
import path from "node:path"
import type { Browser, BrowserContext, Page } from "@playwright/test"
import { expect, person, test, whileOffline } from "../tests/support/plan"
import { Server } from "../tests/support/server"

const DOCS = path.resolve(import.meta.dirname, "../../docs/dashboard")
const RUNS = Number(process.env.RUNS ?? 5)

/** Saves a screenshot as WebP, encoded by the browser. */
async function save(browser: Browser, page: Page, name: string): Promise<void> {
  const png = await page.screenshot({ animations: "disabled" })
  const blank = await browser.newPage()
  const encoded = await blank.evaluate(async (data) => {
    const image = new Image()
    image.src = `data:image/png;base64,${data}`
    await image.decode()
    const canvas = document.createElement("canvas")
    canvas.width = image.width
    canvas.height = image.height
    canvas.getContext("2d")?.drawImage(image, 0, 0)
    return canvas.toDataURL("image/webp", 0.82).split(",")[1] ?? ""
  }, png.toString("base64"))
  await blank.close()
  mkdirSync(DOCS, { recursive: true })
  writeFileSync(path.join(DOCS, `${name}.webp`), Buffer.from(encoded, "base64"))
}

for (const colorScheme of ["light", "dark"] as const) {
  for (const [device, viewport] of [
    ["desktop", { width: 1280, height: 860 }],
    ["phone", { width: 390, height: 844 }],
  ] as const) {
    test(`picture: ${colorScheme}, ${device}`, async ({ browser }) => {
      const server = await Server.start()
      const ceo = await person(browser, "Asha Mehta", { colorScheme, viewport, deviceScaleFactor: 1.5 })
      const cfo = await person(browser, "Ravi Iyer", { colorScheme, viewport })
      await ceo.open(server.url)
      await cfo.open(server.url)
      await whileOffline(server, [ceo, cfo], async () => {
        await ceo.set("Head of Design", "budget", "45")
        await cfo.set("Head of Design", "budget", "31")
      })
      await cfo.cell("QA Engineer", "location").focus()
      await expect(ceo.cell("QA Engineer", "location").locator(".flag")).toBeVisible()
      await ceo.page.getByRole("status").getByRole("button").waitFor({ state: "detached", timeout: 15_000 })
      await ceo.page.evaluate(() => {
        ;(document.activeElement as HTMLElement | null)?.blur()
        window.scrollTo(0, 0)
      })
      await save(browser, ceo.page, `${device}-${colorScheme}`)
      if (device === "desktop" && colorScheme === "light") {
        await ceo.page.getByRole("button", { name: /2 conflicting values/ }).click()
        await expect(ceo.page.getByRole("dialog").getByText(/^Ravi Iyer, /)).toBeVisible()
        await save(browser, ceo.page, "conflict")
        await ceo.page.keyboard.press("Escape")
        await ceo.page.getByRole("button", { name: "History", exact: true }).click()
        await expect(ceo.page.locator(".entry").first()).toBeVisible()
        await save(browser, ceo.page, "history")
      }
      await ceo.context.close()
      await cfo.context.close()
      await server.close()
    })
  }
}

interface Figures {
  firstPaint: number
  listed: number
  shift: number
  blocked: number
  transferred: number
}

async function measure(context: BrowserContext, url: string): Promise<Figures> {
  const page = await context.newPage()
  await page.addInitScript(() => {
    const found = { listed: 0, shift: 0, blocked: 0 }
    Object.assign(window, { found })
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) found.shift += (entry as unknown as { value: number }).value
    }).observe({ type: "layout-shift", buffered: true })
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) found.blocked += Math.max(0, entry.duration - 50)
    }).observe({ type: "longtask", buffered: true })
    const look = () => {
      if (!found.listed && document.querySelector("[data-row]")) requestAnimationFrame(() => (found.listed ||= performance.now()))
      else if (!found.listed) requestAnimationFrame(look)
    }
    look()
  })
  await page.goto(url)
  await page.locator("[data-row]").first().waitFor()
  await page.waitForTimeout(2_000)
  const figures = await page.evaluate(() => {
    const { found } = window as unknown as { found: { listed: number; shift: number; blocked: number } }
    const resources = [
      ...performance.getEntriesByType("navigation"),
      ...performance.getEntriesByType("resource"),
    ] as PerformanceResourceTiming[]
    return {
      ...found,
      firstPaint: performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? Number.NaN,
      transferred: resources.reduce((sum, resource) => sum + resource.transferSize, 0),
    }
  })
  await page.close()
  return figures
}

test("how fast the page is", async ({ browser }) => {
  test.setTimeout(300_000)
  const rows = Array.from({ length: 5_000 }, (_, at) => ({
    id: `row${at}`,
    designation: `Engineer ${at}`,
    department: "Engineering",
    budget: "5",
    location: "Pune",
    lastUpdated: ["Admin", "Sep 18, 2024 12:07 AM"],
  }))
  const lines: string[] = []
  for (const [name, options] of [
    ["60 positions", {}],
    ["5,000 positions", { rows }],
  ] as const) {
    const server = await Server.start(options)
    const all: Record<"cold" | "warm", Figures[]> = { cold: [], warm: [] }
    for (let run = 0; run < RUNS; run += 1) {
      const context = await browser.newContext()
      all.cold.push(await measure(context, server.url))
      const page = await context.newPage()
      await page.goto(server.url)
      await page.evaluate(() => navigator.serviceWorker.ready)
      await page.waitForTimeout(3_000)
      await page.close()
      all.warm.push(await measure(context, server.url))
      await context.close()
    }
    for (const kind of ["cold", "warm"] as const) {
      const median = (pick: (figures: Figures) => number) =>
        all[kind].map(pick).sort((one, other) => one - other)[Math.floor(RUNS / 2)] ?? Number.NaN
      lines.push(
        `| ${name}, ${kind} | ${Math.round(median((f) => f.firstPaint))} ms | ${Math.round(median((f) => f.listed))} ms | ${Math.round(median((f) => f.blocked))} ms | ${median((f) => f.shift).toFixed(3)} | ${Math.round(median((f) => f.transferred) / 1_024).toLocaleString("en")} KiB |`,
      )
    }
    await server.close()
  }
  console.log(`\n| | first paint | list there | blocked | layout shift | transferred |\n|---|--:|--:|--:|--:|--:|\n${lines.join("\n")}\n`)
})
