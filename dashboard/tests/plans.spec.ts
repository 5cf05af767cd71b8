/** Plans are duplicated, archived and deleted. */
import { Client } from "./support/client"
import { expect, type Person, person, test } from "./support/plan"
import type { Server } from "./support/server"

async function choose({ page }: Person, command: string): Promise<void> {
  await page.getByRole("button", { name: /^Plan: / }).click()
  await page.getByRole("button", { name: command, exact: true }).click()
}

const heading = ({ page }: Person, name: string) => page.getByRole("button", { name: `Plan: ${name}. Switch plan` })

/** Duplicates the open plan under the suggested name. */
async function duplicate(user: Person): Promise<void> {
  await choose(user, "Duplicate…")
  await user.page.getByRole("dialog").getByRole("button", { name: "Duplicate", exact: true }).click()
  await expect(heading(user, "Copy of Growth 2027")).toBeVisible()
}

/** What the browser stores of a plan: keys of `localStorage`, and entries of the database with content. */
async function readStored(id: string): Promise<string[]> {
  const answer = <T>(request: IDBRequest<T>) =>
    new Promise<T>((resolve) => {
      request.onsuccess = () => resolve(request.result)
    })
  const database = await answer(indexedDB.open("happierwork"))
  const entries = (await answer(database.transaction("documents").objectStore("documents").getAll())) as {
    key: string[]
    binary: Uint8Array
  }[]
  database.close()
  // The repository writes an empty document and what it knows about the server once more.
  const EMPTY_DOCUMENT = 100
  const contents = entries
    .filter(({ key, binary }) => key[1] !== "sync-state" && binary.length > EMPTY_DOCUMENT)
    .map(({ key }) => key.join())
  return [...contents, ...Object.keys(localStorage)].filter((key) => key.includes(id))
}

async function documentsOf(server: Server): Promise<{ id: string; name: string; positions: number }[]> {
  return (await (await fetch(`${server.url}/api/documents`)).json()) as { id: string; name: string; positions: number }[]
}

test("a plan is duplicated offline, without its history", async ({ server, cfo, ceo }) => {
  const { page } = cfo
  const other = await Client.open(server)
  other.handle.change((doc) => {
    Object.assign(doc.positions[other.id("Office Manager")] ?? {}, { headcount: 3 })
  })
  await cfo.set("Office Manager", "budget", "9")
  await expect(ceo.cell("Office Manager", "budget")).toHaveText("9")
  await cfo.waitForServiceWorker()
  await server.kill()
  await cfo.expectSync("offline")
  await choose(cfo, "Duplicate…")
  await expect(page.getByRole("dialog")).toContainText("History, comments, scenarios and the people with access are not copied.")
  await expect(page.getByLabel("Name of the copy")).toHaveValue("Copy of Growth 2027")
  await page.keyboard.press("Escape")
  await duplicate(cfo)
  await expect(cfo.cell("Office Manager", "budget")).toHaveText("9")
  await page.reload()
  await cfo.set("Office Manager", "budget", "10")
  await server.up()
  await cfo.expectSync("live", 0)
  await expect
    .poll(async () => (await documentsOf(server)).map(({ name, positions }) => [name, positions]))
    .toEqual([
      ["Growth 2027", 60],
      ["Copy of Growth 2027", 60],
    ])
  // The original has not changed.
  expect((await server.rows()).find(({ designation }) => designation === "Office Manager")?.budget).toBe(9)
  const copy = (await documentsOf(server)).find(({ name }) => name === "Copy of Growth 2027")
  const { positions } = (await (await fetch(`${server.url}/api/documents/${copy?.id}/positions`)).json()) as {
    positions: { designation: string; extra?: unknown }[]
  }
  expect(positions.find(({ designation }) => designation === "Office Manager")?.extra).toEqual({ headcount: 3 })
  await page.getByRole("button", { name: "History", exact: true }).click()
  await expect(page.locator(".entry").last()).toContainText(/^CFO.*added .*and 59 more/)
  await other.close()
})

test("an archived plan is listed apart and not edited", async ({ server, browser, cfo, ceo }) => {
  await duplicate(cfo)
  await cfo.expectSync("live", 0)
  await ceo.page.goto(cfo.page.url())
  await expect(heading(ceo, "Copy of Growth 2027")).toBeVisible()
  await choose(cfo, "Archive")
  for (const user of [cfo, ceo]) {
    await expect(user.page.getByText("This plan is archived and cannot be edited.")).toBeVisible()
    await expect(user.page.getByRole("button", { name: "Add position" })).toHaveCount(0)
    await user.cell("Office Manager", "budget").focus()
    await user.page.keyboard.press("F2")
    await expect(user.page.getByRole("grid").getByRole("textbox")).toHaveCount(0)
  }
  await ceo.page.getByRole("button", { name: /^Plan: / }).click()
  await expect(ceo.page.getByRole("list", { name: "Archived plans" }).getByRole("button")).toHaveText(["Copy of Growth 2027"])
  await expect(ceo.page.getByRole("list", { name: "Plans", exact: true }).getByRole("button")).toHaveText(["Growth 2027"])
  await ceo.page.keyboard.press("Escape")

  // A new visitor learns it from the server.
  const board = await person(browser, "Board")
  await board.open(server.url)
  await board.page.getByRole("button", { name: /^Plan: / }).click()
  await board.page.getByText("Archived (1)").click()
  await board.page.getByRole("list", { name: "Archived plans" }).getByRole("button", { name: "Copy of Growth 2027" }).click()
  await expect(board.page.getByText("This plan is archived and cannot be edited.")).toBeVisible()

  await ceo.page.locator("main").getByRole("button", { name: "Restore from archive" }).click()
  await cfo.set("Office Manager", "budget", "11")
  for (const user of [ceo, board]) await expect(user.cell("Office Manager", "budget")).toHaveText("11")
  await cfo.page.getByRole("button", { name: "History", exact: true }).click()
  await expect(cfo.page.getByText("restored the plan from the archive")).toBeVisible()
  await expect(cfo.page.getByText("archived the plan", { exact: true })).toBeVisible()
  await board.context.close()
})

test("other clients edit an archived plan as before", async ({ server, cfo }) => {
  const other = await Client.open(server)
  await choose(cfo, "Archive")
  await expect.poll(() => other.handle.doc().archived).toBe(true)
  const id = other.id("Office Manager")
  other.handle.change((doc) => {
    Object.assign(doc.positions[id] ?? {}, { budget: 12 })
  })
  await expect(cfo.cell("Office Manager", "budget")).toHaveText("12")
  await server.change(id, { budget: 13 })
  await expect(cfo.cell("Office Manager", "budget")).toHaveText("13")
  expect(await (await fetch(`${server.url}/data/`)).json()).toHaveLength(60)
  await cfo.page.locator(".toast").getByRole("button", { name: "Restore" }).click()
  await expect.poll(() => other.handle.doc()).not.toHaveProperty("archived")
  await other.close()
})

test("a plan is deleted after its name was typed", async ({ server, cfo, ceo }) => {
  const { page } = cfo
  await duplicate(cfo)
  await cfo.expectSync("live", 0)
  const url = page.url()
  const id = url.slice(url.indexOf("#") + 1)
  expect(await page.evaluate(readStored, id)).not.toEqual([])
  await ceo.page.goto(url)
  await expect(heading(ceo, "Copy of Growth 2027")).toBeVisible()
  await ceo.expectSync("live", 0)

  await choose(cfo, "Delete…")
  const dialog = page.getByRole("dialog", { name: "Delete plan" })
  await expect(dialog).toContainText("None of them can bring the plan back.")
  const button = dialog.getByRole("button", { name: "Delete plan" })
  await expect(button).toBeDisabled()
  await dialog.getByRole("textbox").fill("Growth 2027")
  await expect(button).toBeDisabled()
  await dialog.getByRole("textbox").fill("copy of growth 2027")
  await button.click()
  await expect(heading(cfo, "Growth 2027")).toBeVisible()
  await expect(cfo.row("Office Manager")).toBeVisible()
  await expect.poll(async () => (await documentsOf(server)).map(({ name }) => name)).toEqual(["Growth 2027"])
  await page.getByRole("button", { name: /^Plan: / }).click()
  await expect(page.getByRole("list", { name: "Plans", exact: true }).getByRole("button")).toHaveText(["Growth 2027"])
  await page.keyboard.press("Escape")
  await expect.poll(() => page.evaluate(readStored, id)).toEqual([])
  // The page still works: the connection and other plans are not affected.
  await cfo.set("Office Manager", "budget", "14")
  await cfo.expectSync("live", 0)

  // Others keep their copy.
  await expect(async () => {
    await ceo.page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")))
    await expect(ceo.page.getByText("This plan was deleted, or you no longer have access.")).toBeVisible({ timeout: 500 })
  }).toPass()
  await expect(ceo.row("Office Manager")).toBeVisible()
  await page.goto(`${server.url}/#${id}`)
  await expect(page.getByRole("heading", { name: "Plan not found" })).toBeVisible()
})

test("the default plan is kept, and deleting needs a connection", async ({ server, cfo }) => {
  const { page } = cfo
  await choose(cfo, "Delete…")
  const dialog = page.getByRole("dialog", { name: "Delete plan" })
  await expect(dialog).toContainText("The default plan of a server cannot be deleted")
  await dialog.getByRole("button", { name: "Cancel" }).click()
  await duplicate(cfo)
  await cfo.expectSync("live", 0)
  await server.kill()
  await cfo.expectSync("offline")
  await choose(cfo, "Delete…")
  await expect(dialog).toContainText("You are offline. Connect to the server to delete this plan.")
  await dialog.getByRole("button", { name: "Archive instead" }).click()
  await expect(page.getByText("This plan is archived and cannot be edited.")).toBeVisible()
  await server.up()
  await cfo.expectSync("live", 0)
})

test("a plan with a successor leads to it", async ({ server, cfo }) => {
  const { page } = cfo
  await cfo.set("Office Manager", "budget", "9")
  await cfo.expectSync("live", 0)
  const made = await fetch(`${server.url}/api/documents/default/successor`, { method: "POST" })
  expect(made.status).toBe(201)
  await expect(page.getByText("This plan goes on in a new document")).toBeVisible()
  await expect(page.getByText("This plan is archived and cannot be edited.")).toBeHidden()
  await page.getByRole("button", { name: "Open the new document" }).click()
  await expect(page.getByText("This plan goes on in a new document")).toBeHidden()
  await expect(cfo.cell("Office Manager", "budget")).toHaveText("9")
  await cfo.set("Office Manager", "budget", "11")
  await cfo.expectSync("live", 0)
  const { document } = (await made.json()) as { document: { id: string } }
  const { positions } = (await (await fetch(`${server.url}/api/documents/${document.id}/positions`)).json()) as {
    positions: { designation: string; budget: number }[]
  }
  expect(positions.find(({ designation }) => designation === "Office Manager")?.budget).toBe(11)
})
