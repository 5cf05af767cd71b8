/** Page object of a user with a browser. */
import { type Browser, type BrowserContext, test as base, expect, type Locator, type Page } from "@playwright/test"
import type { FieldKey } from "../../src/plan/fields"
import { Server } from "./server"

export class Person {
  constructor(
    readonly context: BrowserContext,
    readonly page: Page,
  ) {}

  /** The row of the position with this designation. */
  row(designation: string): Locator {
    return this.page
      .getByRole("grid")
      .getByRole("row")
      .filter({ has: this.page.getByRole("gridcell", { name: `Designation: ${designation}`, exact: true }) })
  }

  cell(designation: string, field: FieldKey): Locator {
    return this.row(designation).locator(`[data-cell$="/${field}"]`)
  }

  /** The text of a cell, without the name of another user in it. */
  value(designation: string, field: FieldKey): Locator {
    return this.cell(designation, field).locator(".value")
  }

  /** Types into a cell with the keyboard. */
  async set(designation: string, field: FieldKey, value: string): Promise<void> {
    await this.cell(designation, field).focus()
    await this.page.keyboard.press("F2")
    await this.page.keyboard.press("ControlOrMeta+a")
    await this.page.keyboard.type(value)
    await this.page.keyboard.press("Enter")
  }

  async add(designation: string, department: string, budget: string, location: string): Promise<void> {
    const form = this.page.getByRole("form", { name: "New position" })
    if (!(await form.isVisible())) await this.page.getByRole("button", { name: "Add position" }).click()
    await form.getByLabel("Designation").fill(designation)
    await form.getByLabel("Department").fill(department)
    await form.getByLabel("Budget").fill(budget)
    await form.getByLabel("Location").fill(location)
    await form.getByRole("button", { name: "Add", exact: true }).click()
  }

  async remove(designation: string): Promise<void> {
    await this.row(designation)
      .getByRole("button", { name: `Delete ${designation}` })
      .click()
  }

  /** Undoes the action that the message offers to undo. */
  async undo(): Promise<void> {
    await this.page.locator(".toast").getByRole("button", { name: "Undo" }).click()
  }

  /** Waits for the sync state, and for the number of unsynced changes if given. */
  async expectSync(kind: "live" | "offline" | "syncing" | "not-allowed", pending?: number): Promise<void> {
    const badge = this.page.locator(".sync")
    await expect(badge).toHaveAttribute("data-kind", kind)
    if (pending !== undefined) await expect(badge).toHaveAttribute("data-pending", String(pending))
  }

  /** Opens the page and waits for the list. */
  async open(url: string): Promise<void> {
    await this.page.goto(url)
    await expect(
      this.page.getByRole("grid", { name: "Positions" }).or(this.page.getByText("This plan has no positions yet.")),
    ).toBeVisible()
  }

  /** Waits until the page can open offline. */
  async waitForServiceWorker(): Promise<void> {
    await this.page.evaluate(async () => {
      await navigator.serviceWorker.ready
      const cache = async () =>
        (await Promise.all((await caches.keys()).map(async (name) => (await (await caches.open(name)).keys()).length))).some(
          (count) => count > 3,
        )
      while (!(await cache())) await new Promise((done) => setTimeout(done, 50))
    })
  }
}

export async function person(browser: Browser, name: string, options: Parameters<Browser["newContext"]>[0] = {}): Promise<Person> {
  const context = await browser.newContext(options)
  await context.addInitScript((said) => {
    if (!localStorage.getItem("happierwork.name")) localStorage.setItem("happierwork.name", said)
  }, name)
  const page = await context.newPage()
  page.on("pageerror", (error) => console.error(`${name}: ${error.stack ?? error}`))
  return new Person(context, page)
}

/** Runs `work` while the server is down; then waits until all users are in sync. */
export async function whileOffline(server: Server, people: readonly Person[], work: () => Promise<void>): Promise<void> {
  for (const user of people) await user.expectSync("live", 0)
  await server.kill()
  for (const user of people) await user.expectSync("offline")
  await work()
  await server.up()
  for (const user of people) await user.expectSync("live", 0)
}

interface Fixtures {
  server: Server
  ceo: Person
  cfo: Person
}

/** A server with the demo plan, and two users who have it open. */
export const test = base.extend<Fixtures>({
  // biome-ignore lint/correctness/noEmptyPattern: Playwright reads what a fixture needs from its first parameter
  server: async ({}, use) => {
    const server = await Server.start()
    await use(server)
    await server.close()
  },
  ceo: async ({ browser, server }, use) => {
    const ceo = await person(browser, "CEO")
    await ceo.open(server.url)
    await use(ceo)
    await ceo.context.close()
  },
  cfo: async ({ browser, server }, use) => {
    const cfo = await person(browser, "CFO")
    await cfo.open(server.url)
    await use(cfo)
    await cfo.context.close()
  },
})

export { expect }
