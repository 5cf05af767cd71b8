/** A plan of 5,000 positions, and the steps of two users. */
import { expect, type Person } from "./plan"
import type { Server } from "./server"

const DEPARTMENTS = ["Engineering", "HR", "Sales", "Product", "Other"]
const LOCATIONS = ["Ahmedabad", "Pune", "Mumbai", "Bengaluru"]

/** The rows of a plan of this size, as the server imports them. */
export const largePlan = (size: number) =>
  Array.from({ length: size }, (_, at) => ({
    id: `row${at}`,
    designation: `Engineer ${at}`,
    department: DEPARTMENTS[at % DEPARTMENTS.length],
    budget: String(1 + (at % 40)),
    location: LOCATIONS[at % LOCATIONS.length],
    lastUpdated: ["Admin", "Sep 18, 2024 12:07 AM"],
  }))

export const LARGE_PLAN = largePlan(5_000)

/** A table of this many rows, for an import. */
export function largeTable(rows: number): string {
  const lines = Array.from({ length: rows }, (_, at) => {
    const [department, location] = [DEPARTMENTS[at % DEPARTMENTS.length], LOCATIONS[at % LOCATIONS.length]]
    return `Planner ${at},${department},${1 + (at % 40)}.5,${location},open,2027-0${1 + (at % 9)}`
  })
  return ["designation,department,budget,location,status,start", ...lines].join("\n")
}

/** Resolves when both pages are in sync and the history worker has read the document: the first load ends there. */
export async function openLargePlan(server: Server, ...people: Person[]): Promise<void> {
  for (const person of people) await person.open(server.url)
  for (const person of people) {
    await person.expectSync("live", 0)
    await person.page.getByRole("button", { name: "History", exact: true }).click()
    await expect(person.page.locator(".entry").first()).toBeVisible({ timeout: 60_000 })
    await person.page.keyboard.press("Escape")
  }
}

/** The steps of one round. `round` makes the values of each round differ. Every step asserts its own outcome. */
export function largePlanSteps(server: Server, cfo: Person, ceo: Person, round: number): [name: string, step: () => Promise<void>][] {
  const { page } = cfo
  const lastRow = async () =>
    Math.max(...(await page.locator("[data-row]").evaluateAll((rows) => rows.map((row) => Number(row.ariaRowIndex)))))
  return [
    [
      "scrolling",
      async () => {
        const before = await lastRow()
        for (let at = 0; at < 40; at += 1) {
          await page.mouse.wheel(0, 1_500)
          await page.evaluate(() => new Promise(requestAnimationFrame))
        }
        await expect.poll(lastRow).toBeGreaterThan(before + 500)
        await page.evaluate(() => window.scrollTo(0, 0))
        await expect.poll(lastRow).toBe(before)
      },
    ],
    [
      "searching",
      async () => {
        await page.getByRole("searchbox").pressSequentially("engineer 49", { delay: 30 })
        await expect(page.locator(".found")).toContainText("199 of 5,000")
        await page.getByRole("searchbox").fill("")
        await expect(page.locator(".found")).toHaveText("")
      },
    ],
    [
      "sorting",
      async () => {
        const head = page.getByRole("columnheader", { name: /Designation/ })
        await head.getByRole("button").click()
        await expect(head).toHaveAttribute("aria-sort", "ascending")
        await head.getByRole("button").click()
        await expect(head).toHaveAttribute("aria-sort", "descending")
        await expect(page.getByRole("gridcell", { name: /^Designation/ }).first()).toHaveText("Engineer 4999")
        await head.getByRole("button").click()
        await expect(head).toHaveAttribute("aria-sort", "none")
      },
    ],
    [
      "typing",
      async () => {
        const budgets = Array.from({ length: 5 }, (_, at) => 100 + round * 10 + at)
        await page
          .getByRole("gridcell", { name: /^Budget/ })
          .first()
          .focus()
        for (const budget of budgets) {
          await page.keyboard.press("F2")
          await page.keyboard.press("ControlOrMeta+a")
          await page.keyboard.type(String(budget), { delay: 20 })
          await page.keyboard.press("Enter")
        }
        await expect.poll(async () => (await server.rows()).filter(({ budget }) => budgets.includes(budget)).length).toBe(budgets.length)
      },
    ],
    [
      "selecting",
      async () => {
        await page
          .getByRole("gridcell", { name: /^Location/ })
          .first()
          .click()
        for (let at = 0; at < 20; at += 1) await page.keyboard.press("Shift+PageDown")
        await expect(page.getByText(/^241 cells/)).toBeVisible()
        await page.keyboard.press("ControlOrMeta+a")
        await expect(page.getByText(/^35,000 cells/)).toBeVisible()
        await page.keyboard.press("Escape")
      },
    ],
    [
      "filling 100 cells",
      async () => {
        const first = page.getByRole("gridcell", { name: /^Location/ }).first()
        await page.evaluate(() => window.scrollTo(0, 0))
        await first.click()
        await page.keyboard.press("F2")
        await page.keyboard.press("ControlOrMeta+a")
        await page.keyboard.type(`Goa ${round}`)
        await page.keyboard.press("Enter")
        await first.click()
        for (let at = 0; at < 8; at += 1) await page.keyboard.press("Shift+PageDown")
        await page.keyboard.press("ControlOrMeta+d")
        await expect.poll(async () => (await server.rows()).filter(({ location }) => location === `Goa ${round}`).length).toBe(97)
      },
    ],
    [
      "filling a column, undo",
      async () => {
        const filled = async () => (await server.rows()).filter(({ location }) => location === `Goa ${round}`).length
        await page.evaluate(() => window.scrollTo(0, 0))
        await page
          .getByRole("gridcell", { name: /^Location/ })
          .first()
          .click()
        await page.keyboard.press("Control+Space")
        await page.keyboard.press("ControlOrMeta+d")
        await expect(page.locator(".toast").last()).toContainText("Filled 4,903 cells.", { timeout: 60_000 })
        await expect.poll(filled, { timeout: 60_000 }).toBe(5_000)
        await page.keyboard.press("ControlOrMeta+z")
        await expect(page.locator(".toast").last()).toContainText("Undid filling of 4,903 cells.", { timeout: 60_000 })
        await expect.poll(filled, { timeout: 60_000 }).toBe(97)
      },
    ],
    [
      "what others type",
      async () => {
        for (const name of ["Engineer 7", "Engineer 8"]) {
          await ceo.page.getByRole("searchbox").fill(name)
          await ceo.set(name, "budget", String(200 + round))
        }
        await expect(cfo.cell("Engineer 7", "budget")).toHaveText(String(200 + round))
        await expect(cfo.cell("Engineer 8", "budget")).toHaveText(String(200 + round))
      },
    ],
  ]
}
