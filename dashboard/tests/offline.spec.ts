/** The page works offline and loses nothing. */
import { expect, person, test } from "./support/plan"

test("offline edits survive a reload and sync later", async ({ server, ceo, cfo }) => {
  await ceo.waitForServiceWorker()
  await cfo.expectSync("live", 0)
  await ceo.expectSync("live", 0)
  await server.kill()
  await ceo.expectSync("offline", 0)

  await ceo.add("Treasurer", "Finance", "33", "Mumbai")
  await ceo.set("Office Manager", "budget", "10")
  await ceo.expectSync("offline", 2)
  await cfo.add("Auditor", "Finance", "21", "Pune")
  await cfo.remove("Account Executive")
  await cfo.expectSync("offline", 2)

  await ceo.page.reload()
  await expect(ceo.cell("Treasurer", "budget")).toHaveText("33")
  await expect(ceo.cell("Office Manager", "budget")).toHaveText("10")
  await ceo.expectSync("offline", 2)
  await ceo.set("Treasurer", "budget", "34")
  await ceo.expectSync("offline", 3)

  await server.up()
  await ceo.expectSync("live", 0)
  await cfo.expectSync("live", 0)
  for (const user of [ceo, cfo]) {
    await expect(user.cell("Treasurer", "budget")).toHaveText("34")
    await expect(user.cell("Auditor", "budget")).toHaveText("21")
    await expect(user.cell("Office Manager", "budget")).toHaveText("10")
    await expect(user.row("Account Executive")).toHaveCount(0)
  }
  const rows = await server.rows()
  expect(rows).toHaveLength(61)
  expect(rows.find((row) => row.designation === "Treasurer")).toMatchObject({ department: "Finance", budget: 34, location: "Mumbai" })
  expect(rows.find((row) => row.designation === "Auditor")).toMatchObject({ budget: 21 })
})

test("a plan created offline syncs and can be shared", async ({ server, ceo, browser }) => {
  await ceo.expectSync("live", 0)
  await server.kill()
  await ceo.expectSync("offline")
  await ceo.page.getByRole("button", { name: /^Plan: / }).click()
  await ceo.page.getByRole("button", { name: "New plan…" }).click()
  const dialog = ceo.page.getByRole("dialog")
  await dialog.getByLabel("Name").fill("Moon 2030")
  await dialog.getByLabel("Total budget").fill("500")
  await dialog.getByRole("button", { name: "Create plan" }).click()
  await ceo.add("Astronaut", "Moon", "99", "Sea of Tranquility")
  await expect(ceo.page.locator(".sync-text")).toContainText("waiting")
  await server.up()
  await ceo.expectSync("live", 0)

  const link = ceo.page.url()
  const guest = await person(browser, "Guest")
  await guest.open(link)
  await expect(guest.cell("Astronaut", "budget")).toHaveText("99")
  await guest.page.getByRole("button", { name: "Plan: Moon 2030. Switch plan" }).click()
  await expect(guest.page.getByRole("list", { name: "Plans" }).getByRole("button")).toHaveText([/Growth 2027/, /Moon 2030/])
  await guest.context.close()
})

test("the page opens offline and never answers for the API", async ({ server, ceo }) => {
  await ceo.waitForServiceWorker()
  await ceo.expectSync("live", 0)
  await server.kill()
  await ceo.page.goto(server.url)
  await expect(ceo.row("Office Manager")).toBeVisible()
  for (const path of ["/api/session", "/data/", "/accounts/api/login/", "/sync", "/ws/dashboard/"]) {
    expect(
      await ceo.page.evaluate(
        (asked) =>
          fetch(asked).then(
            (response) => response.status,
            () => "no answer",
          ),
        path,
      ),
      path,
    ).toBe("no answer")
  }
})

test("a quickly replaced connection keeps receiving changes", async ({ ceo, cfo }) => {
  await ceo.expectSync("live", 0)
  // A network change: the old socket closes and a new one opens at once.
  await ceo.page.evaluate(() => {
    window.dispatchEvent(new Event("offline"))
    window.dispatchEvent(new Event("online"))
  })
  await ceo.expectSync("live", 0)
  // Longer than the retry timer of the adapter.
  await ceo.page.waitForTimeout(7_000)
  await cfo.set("Office Manager", "budget", "13")
  await expect(ceo.cell("Office Manager", "budget")).toHaveText("13")
  await ceo.set("Office Manager", "budget", "14")
  await expect(cfo.cell("Office Manager", "budget")).toHaveText("14")
  await ceo.expectSync("live", 0)
})

test("a second offline tab shows the pending changes", async ({ server, ceo }) => {
  await ceo.waitForServiceWorker()
  await ceo.expectSync("live", 0)
  await server.kill()
  await ceo.expectSync("offline", 0)
  await ceo.set("Office Manager", "budget", "10")
  await ceo.set("Office Manager", "budget", "11")
  await ceo.expectSync("offline", 2)
  const second = await ceo.context.newPage()
  await second.goto(server.url)
  await expect(second.locator(".sync")).toHaveAttribute("data-pending", "2")
  await ceo.page.reload()
  await ceo.expectSync("offline", 2)
})

test("changes of a closed plan are announced and sync", async ({ server, ceo, browser }) => {
  await ceo.waitForServiceWorker()
  await ceo.expectSync("live", 0)
  await server.kill()
  await ceo.expectSync("offline", 0)
  await ceo.page.getByRole("button", { name: /^Plan: / }).click()
  await ceo.page.getByRole("button", { name: "New plan…" }).click()
  const dialog = ceo.page.getByRole("dialog")
  await dialog.getByLabel("Name").fill("Moon 2030")
  await dialog.getByRole("button", { name: "Create plan" }).click()
  await ceo.add("Astronaut", "Moon", "99", "Sea of Tranquility")
  await expect(ceo.row("Astronaut")).toBeVisible()
  await expect(ceo.page.locator(".sync-text")).toHaveText(/^Offline, \d changes waiting$/)
  const link = ceo.page.url()

  // A later visit opens the first plan.
  await ceo.page.goto(server.url)
  await expect(ceo.row("Office Manager")).toBeVisible()
  await expect(ceo.page.locator(".sync-text")).toHaveText("Offline, another plan waiting")
  await ceo.page.getByRole("button", { name: /^Plan: / }).click()
  await expect(ceo.page.getByRole("list", { name: "Plans" }).getByRole("button", { name: /Moon 2030/ })).toHaveText(/\d changes waiting/)
  await ceo.page.keyboard.press("Escape")
  await server.up()
  await expect(ceo.page.locator(".sync-text")).toHaveText("Live")

  const guest = await person(browser, "Guest")
  await guest.open(link)
  await expect(guest.cell("Astronaut", "budget")).toHaveText("99")
  await guest.context.close()
})

test("a dead connection is detected and replaced", async ({ server, ceo }) => {
  const { page } = ceo
  let isThere = true
  let back = () => {}
  const isBack = new Promise<void>((resolve) => {
    back = resolve
  })
  await page.route("**/healthz", (route) => (isThere ? route.continue() : route.abort()))
  await page.routeWebSocket("**/sync", async (socket) => {
    if (!isThere) await isBack
    const beyond = socket.connectToServer()
    socket.onMessage((message) => isThere && beyond.send(message))
    beyond.onMessage((message) => isThere && socket.send(message))
  })
  await ceo.open(server.url)
  await ceo.expectSync("live", 0)
  isThere = false
  await ceo.set("Office Manager", "budget", "10")
  await ceo.expectSync("syncing", 1)
  await ceo.expectSync("offline", 1)
  isThere = true
  back()
  await ceo.expectSync("live", 0)
  expect((await server.rows()).find((row) => row.designation === "Office Manager")).toMatchObject({ budget: 10 })
})

test("browser Back commits the edit and returns to the plan", async ({ server, ceo }) => {
  const { page } = ceo
  await page.goto(server.url)
  await expect(page).toHaveURL(/#\w+$/)
  await page.getByRole("button", { name: /^Plan: / }).click()
  await page.getByRole("button", { name: "New plan…" }).click()
  await page.getByRole("dialog").getByLabel("Name").fill("Moon 2030")
  await page.getByRole("dialog").getByRole("button", { name: "Create plan" }).click()
  await ceo.add("Astronaut", "Moon", "99", "Sea of Tranquility")
  await ceo.cell("Astronaut", "budget").focus()
  await page.keyboard.type("101")
  await page.goBack()
  await expect(page.getByRole("button", { name: "Plan: Growth 2027. Switch plan" })).toBeVisible()
  await expect(ceo.row("Office Manager")).toBeVisible()
  await page.goForward()
  await expect(ceo.cell("Astronaut", "budget")).toHaveText("101")
})

test("failed local saves are reported and retried", async ({ server, ceo }) => {
  const { page } = ceo
  await page.addInitScript(() => {
    const state = { isFull: false, asked: 0 }
    const { put } = IDBObjectStore.prototype
    IDBObjectStore.prototype.put = function (...values) {
      const request = put.apply(this, values)
      // A browser aborts the transaction when storage is full.
      if (state.isFull) this.transaction.abort()
      return request
    }
    navigator.storage.persist = async () => {
      state.asked += 1
      return true
    }
    Object.assign(window, { state })
  })
  await ceo.open(server.url)
  await ceo.waitForServiceWorker()
  await ceo.expectSync("live", 0)
  expect(await page.evaluate("state.asked")).toBe(0)
  await ceo.set("Office Manager", "budget", "10")
  await ceo.expectSync("live", 0)
  expect(await page.evaluate("state.asked")).toBe(1)

  await server.kill()
  await ceo.expectSync("offline", 0)
  await page.evaluate("state.isFull = true")
  await ceo.set("Office Manager", "budget", "11")
  const badge = page.locator(".sync")
  await expect(badge).toHaveText(/^Not saved on this device. Offline, 1 change waiting/)
  await expect(badge).toHaveAttribute("title", /could not save your last changes/)
  await page.evaluate("state.isFull = false")
  await expect(page.locator(".sync-text")).toHaveText("Offline, 1 change waiting")
  await page.reload()
  await expect(ceo.cell("Office Manager", "budget")).toHaveText("11")
  expect(await page.evaluate("state.asked")).toBe(0)
})

test("a new page version is announced until a reload", async ({ ceo }) => {
  const { page } = ceo
  await ceo.waitForServiceWorker()
  await page.reload()
  await ceo.expectSync("live", 0)
  // The browser has activated a newer service worker.
  await page.evaluate(() => navigator.serviceWorker.dispatchEvent(new Event("controllerchange")))
  await expect(page.getByText("A new version is available.")).toBeVisible()
  await page.getByRole("button", { name: /^Plan: / }).click()
  await page.getByRole("button", { name: "New plan…" }).click()
  await page.getByRole("dialog").getByLabel("Name").fill("Moon 2030")
  await page.getByRole("button", { name: "Create plan" }).click()
  await expect(page.getByRole("button", { name: "Plan: Moon 2030. Switch plan" })).toBeVisible()
  await expect(page.getByText("A new version is available.")).toBeVisible()
  // A plan without a total is never over budget.
  await expect(page.locator(".figures dd").first()).toContainText("not set")
})
