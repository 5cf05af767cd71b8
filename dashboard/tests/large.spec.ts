/** 5,000 positions work like 60, and only visible rows are in the DOM. */

import { LARGE_PLAN, largePlanSteps, openLargePlan } from "./support/large"
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
