/** Longest tasks with many positions. Browsers report tasks of 50 ms and more; people notice 100 ms. */

import type { Browser } from "@playwright/test"
import { LARGE_PLAN, largePlan, largePlanSteps, largeTable, openLargePlan } from "../tests/support/large"
import { expect, type Person, person, test } from "../tests/support/plan"
import { Server } from "../tests/support/server"

const ROUNDS = Number(process.env.RUNS ?? 5)
/** Numbers of positions of the plans that are opened. */
const SIZES = (process.env.SIZES ?? "5000,20000,100000").split(",").map(Number)

/** Collects the durations of long tasks. The returned function reads and empties the list. */
async function watchTasks({ page }: Person): Promise<() => Promise<number[]>> {
  await page.evaluate(() => {
    const durations: number[] = []
    Object.assign(window, { durations })
    new PerformanceObserver((list) => durations.push(...list.getEntries().map((entry) => entry.duration))).observe({ type: "longtask" })
  })
  return async () => {
    // The browser reports a long task some time after its end.
    await page.waitForTimeout(300)
    return page.evaluate(() => (window as unknown as { durations: number[] }).durations.splice(0))
  }
}

const median = (all: readonly number[]): number => all.toSorted((one, other) => one - other)[Math.floor(all.length / 2)] ?? Number.NaN

function print(title: string, measured: ReadonlyMap<string, readonly number[]>): void {
  const lines = [...measured].map(([name, all]) => `| ${name} | ${Math.round(median(all))} ms | ${Math.round(Math.max(...all))} ms |`)
  console.log(`\n| ${title} | median | worst of ${ROUNDS} |\n|---|--:|--:|\n${lines.join("\n")}\n`)
}

function add(measured: Map<string, number[]>, name: string, value: number): void {
  measured.set(name, [...(measured.get(name) ?? []), value])
}

test("longest tasks with 5,000 positions", async ({ browser }) => {
  test.setTimeout(600_000)
  const server = await Server.start({ rows: LARGE_PLAN })
  const [cfo, ceo] = [await person(browser, "CFO"), await person(browser, "CEO")]
  await openLargePlan(server, cfo, ceo)
  const durations = await watchTasks(cfo)
  const longest = new Map<string, number[]>()
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [name, step] of largePlanSteps(server, cfo, ceo, round)) {
      await durations()
      await step()
      add(longest, name, Math.max(0, ...(await durations())))
    }
  }
  print("5,000 positions, longest task", longest)
  await cfo.context.close()
  await ceo.context.close()
  await server.close()
})

test("longest tasks of an import of 20,000 rows", async ({ browser }) => {
  test.setTimeout(1_200_000)
  const rows = 20_000
  const longest = new Map<string, number[]>()
  for (let round = 0; round < ROUNDS; round += 1) {
    const server = await Server.start()
    const cfo = await person(browser, "CFO")
    await openLargePlan(server, cfo)
    const { page } = cfo
    const durations = await watchTasks(cfo)
    const dialog = page.getByRole("dialog", { name: "Import positions" })
    await page.getByRole("button", { name: "Import or export" }).click()
    await page.getByRole("button", { name: "Import a table…" }).click()
    await durations()
    const file = { name: "large.csv", mimeType: "text/csv", buffer: Buffer.from(largeTable(rows)) }
    await dialog.locator("input[type=file]").setInputFiles(file)
    const button = dialog.getByRole("button", { name: `Add ${rows.toLocaleString("en")} positions` })
    await expect(button).toBeVisible({ timeout: 120_000 })
    add(longest, "preview", Math.max(0, ...(await durations())))
    const begin = Date.now()
    await button.click()
    await expect(page.locator(".toast").last()).toContainText(/^(Added|Imported)/, { timeout: 600_000 })
    add(longest, "until all rows are in the plan (duration)", Date.now() - begin)
    add(longest, "writing", Math.max(0, ...(await durations())))
    await expect(page.locator(".sync")).toHaveAttribute("data-kind", "live", { timeout: 600_000 })
    await page.waitForTimeout(3_000)
    add(longest, "sync and storage afterwards", Math.max(0, ...(await durations())))
    await cfo.context.close()
    await server.close()
  }
  print("20,000 rows imported, longest task", longest)
})

/** Opens a plan, and does a little with it. */
async function openAndUse(browser: Browser, server: Server, size: number, measured: Map<string, number[]>): Promise<void> {
  const cfo = await person(browser, "CFO")
  const { page } = cfo
  for (const visit of ["first visit", "later visit"]) {
    const name = (what: string) => `${size.toLocaleString("en")} positions, ${visit}: ${what}`
    const begin = Date.now()
    await page.goto(server.url, { waitUntil: "commit" })
    await page.locator("[data-row]").first().waitFor({ timeout: 120_000 })
    add(measured, name("rows"), Date.now() - begin)
    await page.getByRole("grid", { name: "Positions" }).waitFor({ timeout: 240_000 })
    add(measured, name("list"), Date.now() - begin)
    const durations = await watchTasks(cfo)
    await cfo.expectSync("live", 0)
    await page.waitForTimeout(8_000)
    add(measured, name("longest task afterwards"), Math.max(0, ...(await durations())))
    for (let at = 0; at < 20; at += 1) await page.mouse.wheel(0, 1_500)
    await page.evaluate(() => window.scrollTo(0, 0))
    add(measured, name("longest task, scrolling"), Math.max(0, ...(await durations())))
    await cfo.set(`Engineer 0`, "budget", String(100 + Math.round(Math.random() * 100)))
    await cfo.expectSync("live", 0)
    add(measured, name("longest task, one edit"), Math.max(0, ...(await durations())))
    await page.getByRole("searchbox").pressSequentially("engineer 49", { delay: 60 })
    await expect(page.locator(".found")).toContainText(" of ")
    await page.getByRole("searchbox").fill("")
    add(measured, name("longest task, searching"), Math.max(0, ...(await durations())))
  }
  await cfo.context.close()
}

for (const size of SIZES) {
  test(`opening ${size} positions`, async ({ browser }) => {
    test.setTimeout(1_800_000)
    const measured = new Map<string, number[]>()
    const server = await Server.start({ rows: largePlan(size) })
    for (let round = 0; round < ROUNDS; round += 1) await openAndUse(browser, server, size, measured)
    print("time, or longest task", measured)
    await server.close()
  })
}
