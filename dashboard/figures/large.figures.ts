/** Longest task of each step with 5,000 positions. Browsers report tasks of 50 ms and more; people notice 100 ms. */

import { LARGE_PLAN, largePlanSteps, openLargePlan } from "../tests/support/large"
import { person, test } from "../tests/support/plan"
import { Server } from "../tests/support/server"

const ROUNDS = Number(process.env.RUNS ?? 5)

test("longest tasks with 5,000 positions", async ({ browser }) => {
  test.setTimeout(600_000)
  const server = await Server.start({ rows: LARGE_PLAN })
  const [cfo, ceo] = [await person(browser, "CFO"), await person(browser, "CEO")]
  await openLargePlan(server, cfo, ceo)
  await cfo.page.evaluate(() => {
    const durations: number[] = []
    Object.assign(window, { durations })
    new PerformanceObserver((list) => durations.push(...list.getEntries().map((entry) => entry.duration))).observe({ type: "longtask" })
  })
  const durations = () => cfo.page.evaluate(() => (window as unknown as { durations: number[] }).durations.splice(0))
  const longest = new Map<string, number[]>()
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [name, step] of largePlanSteps(server, cfo, ceo, round)) {
      await durations()
      await step()
      // The browser reports a long task some time after its end.
      await cfo.page.waitForTimeout(300)
      longest.set(name, [...(longest.get(name) ?? []), Math.max(0, ...(await durations()))])
    }
  }
  const lines = [...longest].map(([name, all]) => {
    const sorted = all.toSorted((one, other) => one - other).map(Math.round)
    return `| ${name} | ${sorted[Math.floor(sorted.length / 2)]} ms | ${sorted.at(-1)} ms |`
  })
  console.log(`\n| 5,000 positions, longest task | median | worst of ${ROUNDS} |\n|---|--:|--:|\n${lines.join("\n")}\n`)
  await cfo.context.close()
  await ceo.context.close()
  await server.close()
})
