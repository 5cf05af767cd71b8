/** The first picture of a plan: what the server shows, before the editor is loaded. */
import { expectAccessible } from "./support/accessibility"
import { expect, person, test } from "./support/plan"
import { Server } from "./support/server"

test("a new visitor sees figures and rows before the editor is loaded", async ({ browser }) => {
  const server = await Server.start()
  const ceo = await person(browser, "Asha Mehta")
  const { page } = ceo
  let release = () => {}
  const isReleased = new Promise<void>((resolve) => {
    release = resolve
  })
  await page.route("**/*.wasm", async (route) => {
    await isReleased
    await route.continue()
  })
  await page.goto(server.url)
  await expect(page.getByText("Loading the editor…")).toBeVisible()
  await expect(page.getByRole("heading", { name: "Growth 2027" })).toBeVisible()
  // The figures and rows cannot be used yet, and are not read twice.
  const preview = page.locator("[data-preview]")
  await expect(preview.locator(".figures")).toContainText("60 positions")
  await expect(preview.locator(".row")).toHaveCount(40)
  const figures = (await preview.locator(".figures").textContent()) ?? ""
  await expectAccessible(page, "the preview")
  release()
  await expect(page.getByRole("grid")).toBeVisible()
  await expect(preview).toHaveCount(0)
  expect((await page.locator(".figures").textContent())?.replace("Change", "")).toBe(figures)
  await page.reload()
  await expect(page.getByRole("grid")).toBeVisible()
  await ceo.context.close()
  await server.close()
})

test("a browser with a copy of the plan shows its copy at once", async ({ browser }) => {
  const server = await Server.start()
  const ceo = await person(browser, "Asha Mehta")
  await ceo.open(server.url)
  const requests: string[] = []
  ceo.page.on("request", (request) => requests.push(new URL(request.url()).pathname))
  await ceo.page.reload()
  await expect(ceo.page.getByRole("grid")).toBeVisible()
  expect(requests.filter((path) => path.endsWith("/positions"))).toEqual([])
  await ceo.context.close()
  await server.close()
})

test("an address with a view waits for the editor", async ({ browser }) => {
  const server = await Server.start()
  const ceo = await person(browser, "Asha Mehta")
  const requests: string[] = []
  ceo.page.on("request", (request) => requests.push(new URL(request.url()).pathname))
  await ceo.page.goto(`${server.url}/#?search=QA`)
  await expect(ceo.page.getByRole("grid")).toBeVisible()
  expect(requests.filter((path) => path.endsWith("/positions"))).toEqual([])
  await ceo.context.close()
  await server.close()
})
