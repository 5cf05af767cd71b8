/** 5,000 positions work like 60, and only visible rows are in the DOM. */

import type { Page } from "@playwright/test"
import { LARGE_PLAN, largePlan, largePlanSteps, openLargePlan } from "./support/large"
import { expect, person, test } from "./support/plan"
import { Server } from "./support/server"

/** Rows of 40 px on a screen of 860 px, and the same number of rows that are rendered above and below. */
const RENDERED_ROWS = 100

test("5,000 positions are scrolled, searched, sorted and edited", async ({ browser }) => {
  test.slow()
  const server = await Server.start({ rows: LARGE_PLAN })
  const [cfo, ceo] = [await person(browser, "CFO"), await person(browser, "CEO")]
  await openLargePlan(server, cfo, ceo)
  for (const [name, step] of largePlanSteps(server, cfo, ceo, 0)) {
    await test.step(name, step)
    expect(await cfo.page.locator("[data-row]").count()).toBeLessThan(RENDERED_ROWS)
  }
  await cfo.context.close()
  await ceo.context.close()
  await server.close()
})

/** Keys of the stored snapshots of all documents. */
const snapshots = (page: Page): Promise<string> =>
  page.evaluate(
    () =>
      new Promise<string>((resolve, reject) => {
        const opened = indexedDB.open("happierwork")
        opened.onerror = () => reject(opened.error)
        opened.onsuccess = () => {
          const keys = opened.result.transaction("documents").objectStore("documents").getAllKeys()
          keys.onsuccess = () => {
            opened.result.close()
            resolve(JSON.stringify((keys.result as string[][]).filter(([, kind]) => kind === "snapshot")))
          }
        }
      }),
  )

test("changes that a worker has joined survive a reload", async ({ browser }) => {
  test.slow()
  const server = await Server.start({ rows: largePlan(1_500) })
  const cfo = await person(browser, "CFO")
  const { page } = cfo
  await cfo.open(server.url)
  await cfo.waitForServiceWorker()
  await cfo.expectSync("live", 0)
  await expect.poll(() => snapshots(page)).not.toBe("[]")
  const before = await snapshots(page)

  await cfo.set("Engineer 0", "location", "Goa")
  await cfo.cell("Engineer 0", "location").click()
  await page.keyboard.press("Control+Space")
  await page.keyboard.press("ControlOrMeta+d")
  await expect(page.locator(".toast").last()).toContainText("Filled 1,499 cells.", { timeout: 60_000 })
  await cfo.set("Engineer 0", "location", "Last")
  await expect.poll(() => snapshots(page), { timeout: 60_000 }).not.toBe(before)
  await cfo.expectSync("live", 0)
  await server.kill()
  await page.reload()
  await expect(cfo.value("Engineer 0", "location")).toHaveText("Last")
  await page.getByRole("combobox", { name: "Location" }).selectOption("Goa")
  await expect(page.locator(".found")).toContainText("1,499 of 1,500")
  await cfo.context.close()
  await server.close()
})
