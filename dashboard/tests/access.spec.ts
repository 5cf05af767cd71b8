/** A server with authentication. */
import { expectAccessible } from "./support/accessibility"
import { login, PASSWORD, test } from "./support/accounts"
import { expect, person } from "./support/plan"
import { Server } from "./support/server"

test("a wrong password is rejected, the right one logs in", async ({ server, browser }) => {
  const cfo = await person(browser, "")
  await login(cfo, server.url, "cfo", "not the password")
  await expect(cfo.page.getByRole("alert")).toHaveText("Incorrect username or password.")
  await expect(cfo.page.getByRole("grid")).toHaveCount(0)
  await cfo.page.getByLabel("Password").fill(PASSWORD)
  await cfo.page.getByRole("button", { name: "Log in" }).click()
  await cfo.set("Office Manager", "budget", "9.5")
  await cfo.expectSync("live", 0)
  await expect(cfo.row("Office Manager").locator(".author")).toHaveText("cfo")
  await cfo.context.close()
})

test("a viewer sees changes but has no edit controls", async ({ server, browser }) => {
  const [board, cfo] = [await person(browser, ""), await person(browser, "")]
  await login(board, server.url, "board")
  await login(cfo, server.url, "cfo")
  await expect(board.page.getByText("You need edit access to change this plan. You are logged in as board (viewer).")).toBeVisible()
  await expect(board.row("Office Manager")).toBeVisible()
  for (const name of [/Add position/, /^Delete /, /^Change$/]) await expect(board.page.getByRole("button", { name })).toHaveCount(0)
  await expect(board.page.getByRole("checkbox")).toHaveCount(0)
  await board.cell("Office Manager", "budget").focus()
  await board.page.keyboard.type("99")
  await board.page.keyboard.press("Enter")
  await board.page.keyboard.press("Delete")
  await expect(board.page.getByRole("grid").getByRole("textbox")).toHaveCount(0)

  await cfo.set("Office Manager", "budget", "11")
  await expect(board.cell("Office Manager", "budget")).toHaveText("11")
  await board.expectSync("live", 0)
  await board.context.close()
  await cfo.context.close()
})

test("role changes apply without a reload", async ({ server, browser }) => {
  const [board, cfo] = [await person(browser, ""), await person(browser, "")]
  await login(board, server.url, "board")
  await login(cfo, server.url, "cfo")
  const banner = board.page.getByText("You need edit access to change this plan")
  await expect(banner).toBeVisible()
  await board.page.evaluate(() => Object.assign(window, { isSamePage: true }))

  server.run("user", "set", "board", "--role", "editor", "--auth", server.auth)
  // The user returns to the page.
  await expect(async () => {
    await board.page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")))
    await expect(banner).toHaveCount(0, { timeout: 500 })
  }).toPass()
  await board.set("Office Manager", "budget", "11")
  await expect(cfo.cell("Office Manager", "budget")).toHaveText("11")
  await board.expectSync("live", 0)

  server.run("user", "set", "board", "--role", "viewer", "--auth", server.auth)
  // Wait until the server has reloaded the accounts.
  await expect.poll(() => board.page.evaluate(async () => (await (await fetch("/api/session")).json()).user.role)).toBe("viewer")
  await board.set("Office Manager", "budget", "12")
  await expect(banner).toBeVisible()
  await board.expectSync("not-allowed", 1)
  expect(await board.page.evaluate("isSamePage")).toBe(true)
  await board.context.close()
  await cfo.context.close()
})

test("a disabled user sees why and keeps unsynced edits", async ({ server, browser }) => {
  const cfo = await person(browser, "")
  await login(cfo, server.url, "cfo")
  await cfo.expectSync("live", 0)
  server.run("user", "disable", "cfo", "--auth", server.auth)
  await cfo.expectSync("not-allowed")
  await expect(cfo.page.getByRole("alert").filter({ hasText: "You have been logged out" })).toBeVisible()
  await cfo.set("Office Manager", "budget", "12")
  await cfo.expectSync("not-allowed", 1)
  server.run("user", "enable", "cfo", "--auth", server.auth)
  // Wait until the server has reloaded the accounts.
  const body = JSON.stringify({ email: "cfo", password: PASSWORD })
  await expect.poll(async () => (await fetch(`${server.url}/accounts/api/login/`, { method: "POST", body })).status).toBe(200)
  await login(cfo, server.url, "cfo")
  await cfo.expectSync("live", 0)
  await expect.poll(async () => cfo.cell("Office Manager", "budget").textContent()).toBe("12")

  await cfo.page.getByRole("button", { name: "Account: cfo" }).click()
  await cfo.page.getByRole("button", { name: "Log out" }).click()
  await expect(cfo.page.getByRole("heading", { name: "Log in" })).toBeVisible()
  await expect.poll(() => cfo.page.evaluate(async () => (await indexedDB.databases()).map((database) => database.name))).toEqual([])
  const left = await cfo.page.evaluate(() => Object.entries(localStorage).filter(([key]) => key !== "happierwork.name"))
  expect(left).toEqual([["happierwork.session", JSON.stringify({ required: true, accounts: true, provider: null, user: null })]])
  await cfo.context.close()
})

test("logout deletes only the data of that user", async ({ server, browser }) => {
  const one = await person(browser, "", { serviceWorkers: "block" })
  const { page } = one
  const enter = (email: string) =>
    page.evaluate((body) => fetch("/accounts/api/login/", { method: "POST", body }), JSON.stringify({ email, password: PASSWORD }))
  await login(one, server.url, "cfo")
  await one.expectSync("live", 0)
  await enter("ceo")
  await page.reload()
  await page.getByRole("button", { name: "Account: ceo" }).click()
  await one.expectSync("live", 0)
  await page.getByRole("button", { name: "Log out" }).click()
  await expect(page.getByRole("heading", { name: "Log in" })).toBeVisible()
  const databases = () => page.evaluate(async () => (await indexedDB.databases()).map((database) => database.name))
  await expect.poll(databases).toEqual(["happierwork.cfo"])
  const remembered = await page.evaluate(() => Object.keys(localStorage).filter((key) => /\.(cfo|ceo)(\.|$)/.test(key)))
  expect(remembered).toContain("happierwork.plans.cfo")
  expect(remembered.filter((key) => key.includes("ceo"))).toEqual([])

  // Simulates a logout whose database could not be deleted because another tab had it open.
  await page.evaluate(() => localStorage.setItem("happierwork.forget.cfo", ""))
  await page.routeWebSocket("**/sync", (socket) => socket.close())
  await enter("cfo")
  await page.reload()
  await one.set("Office Manager", "budget", "12")
  await one.expectSync("offline", 1)
  await page.reload()
  await expect(one.cell("Office Manager", "budget")).toHaveText("12")
  await one.context.close()
})

test("logout warns about unsynced changes of all plans", async ({ server, browser }) => {
  const cfo = await person(browser, "", { serviceWorkers: "block" })
  await login(cfo, server.url, "cfo")
  await cfo.expectSync("live", 0)
  await cfo.page.routeWebSocket("**/sync", (socket) => socket.close())
  await cfo.page.reload()
  await cfo.set("Office Manager", "budget", "12")
  await cfo.expectSync("offline", 1)
  await cfo.page.getByRole("button", { name: /^Plan: / }).click()
  await cfo.page.getByRole("button", { name: "New plan…" }).click()
  await cfo.page.getByRole("dialog").getByLabel("Name").fill("Moon 2030")
  await cfo.page.getByRole("dialog").getByRole("button", { name: "Create plan" }).click()
  await expect(cfo.page.getByRole("button", { name: "Plan: Moon 2030. Switch plan" })).toBeVisible()

  const asked = cfo.page.waitForEvent("dialog")
  await cfo.page.getByRole("button", { name: "Account: cfo" }).click()
  const pressed = cfo.page.getByRole("button", { name: "Log out" }).click()
  const question = await asked
  expect(question.message()).toContain("3 unsynced changes in 2 plans will be lost")
  await question.dismiss()
  await pressed
  await expect(cfo.page.getByRole("button", { name: "Plan: Moon 2030. Switch plan" })).toBeVisible()
  await cfo.context.close()
})

test("an approval is verified only by the server", async ({ server, browser }) => {
  const [ceo, cfo] = [await person(browser, ""), await person(browser, "", { serviceWorkers: "block" })]
  await login(ceo, server.url, "ceo")
  await ceo.set("Office Manager", "status", "approved")
  await ceo.expectSync("live", 0)
  const approvalOf = async (name: string) => {
    await ceo
      .row(name)
      .getByRole("button", { name: `History of ${name}` })
      .click()
    return ceo.page.getByRole("region", { name: "Approval" })
  }
  await expect(await approvalOf("Office Manager")).toContainText("Approved: ₹8 lakh by ceo verified")
  await ceo.page.keyboard.press("Escape")

  // A page that claims to be another user.
  await cfo.page.route("**/api/session", (route) =>
    route.fulfill({ json: { required: true, accounts: true, user: { name: "ceo", role: "owner" } } }),
  )
  await cfo.page.goto(server.url)
  await cfo.page.evaluate(
    (password) => fetch("/accounts/api/login/", { method: "POST", body: JSON.stringify({ email: "cfo", password }) }),
    PASSWORD,
  )
  await cfo.page.reload()
  await cfo.set("Head of Design", "status", "approved")
  await expect(ceo.value("Head of Design", "status")).toHaveText("Approved")
  await expect(await approvalOf("Head of Design")).toContainText("Approved: ₹38 lakh by ceosubmitted by cfo")
  await cfo.context.close()
  await ceo.context.close()
})

test("the history shows the authenticated submitter", async ({ server, browser }) => {
  const [ceo, cfo] = [await person(browser, ""), await person(browser, "", { serviceWorkers: "block" })]
  await login(ceo, server.url, "ceo")
  await ceo.set("Office Manager", "location", "Pune")
  await ceo.expectSync("live", 0)
  // A page that claims to be another user.
  await cfo.page.route("**/api/session", (route) =>
    route.fulfill({ json: { required: true, accounts: true, user: { name: "ceo", role: "owner" } } }),
  )
  await cfo.page.goto(server.url)
  await cfo.page.evaluate(
    (password) => fetch("/accounts/api/login/", { method: "POST", body: JSON.stringify({ email: "cfo", password }) }),
    PASSWORD,
  )
  await cfo.page.reload()
  await cfo.set("Office Manager", "budget", "90")
  await expect(ceo.cell("Office Manager", "budget")).toHaveText("90")

  await ceo.row("Office Manager").getByRole("button", { name: "History of Office Manager" }).click()
  const entries = ceo.page.getByRole("dialog", { name: "History of Office Manager" }).locator(".entry")
  await expect(entries.nth(0)).toContainText("ceosubmitted by cfo")
  await expect(entries.nth(0)).toContainText("90")
  await expect(entries.nth(1)).toContainText("ceo verified")
  // Attribution also covers changes that arrive while the panel is open.
  await cfo.set("Office Manager", "budget", "91")
  await expect(entries.nth(0)).toContainText("91")
  await expect(entries.nth(0)).toContainText("ceosubmitted by cfo")
  await expect(entries.nth(2)).toContainText("ceo verified")
  await ceo.context.close()
  await cfo.context.close()
})

test("the legacy socket requires the login cookie", async ({ server, browser }) => {
  const old = await person(browser, "")
  const listen = () =>
    old.page.evaluate(
      (url) =>
        new Promise<string>((resolve) => {
          const socket = new WebSocket(url)
          socket.onmessage = ({ data }) => resolve(data)
          socket.onclose = ({ code }) => resolve(`closed: ${code}`)
        }),
      `ws://127.0.0.1:${server.port}/ws/dashboard/`,
    )
  await old.page.goto(server.url)
  expect(await listen()).toContain("this needs a valid token")
  const status = await old.page.evaluate(
    async (password) => (await fetch("/accounts/api/login/", { method: "POST", body: JSON.stringify({ email: "cfo", password }) })).status,
    PASSWORD,
  )
  expect(status).toBe(200)
  expect(await listen()).toContain("login_update")
  expect(await old.page.evaluate(async () => ((await (await fetch("/data/")).json()) as unknown[]).length)).toBeGreaterThan(0)
  await old.context.close()
})

test("the link of a new server creates the first account", async ({ browser }) => {
  const server = await Server.start()
  await server.kill()
  server.run("key", "new", "--auth", server.auth)
  server.flags.push("--auth", server.auth)
  await server.up()
  await expect.poll(() => server.printed.some((line) => line.startsWith("setup"))).toBe(true)
  const link = server.printed.find((line) => line.startsWith("setup"))?.split(/ +/)[1] ?? ""
  const ceo = await person(browser, "")
  const { page } = ceo
  await page.goto(server.url)
  await expect(page.getByRole("heading", { name: "This server has no accounts" })).toBeVisible()
  await page.goto(link.replace("#setup=", "#setup=x"))
  await page.reload()
  const fill = async (password: string, repeated: string) => {
    await page.getByLabel("Username or email").fill("ceo@example.com")
    await page.getByLabel("Password", { exact: true }).fill(password)
    await page.getByLabel("Repeat the password").fill(repeated)
    await page.getByRole("button", { name: "Create account" }).click()
  }
  await fill(PASSWORD, `${PASSWORD}!`)
  await expect(page.getByRole("alert")).toHaveText("The passwords differ.")
  await expectAccessible(page, "the form for the first account")
  await fill(PASSWORD, PASSWORD)
  await expect(page.getByRole("alert")).toContainText("the link is not valid any more")
  await page.goto(link)
  await page.reload()
  await fill(PASSWORD, PASSWORD)
  await expect(page.getByRole("grid")).toBeVisible()
  await expect(page.getByRole("button", { name: "Account: ceo@example.com" })).toBeVisible()
  expect(page.url()).not.toContain("setup")
  await ceo.context.close()
  await server.close()
})
