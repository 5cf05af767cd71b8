/** Without a network nothing stops, and nothing is lost. */
import { expect, person, test } from "./support/plan"

test("the server is killed: both go on, one reloads the page, and afterwards all agree", async ({ server, ceo, cfo }) => {
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
  for (const who of [ceo, cfo]) {
    await expect(who.cell("Treasurer", "budget")).toHaveText("34")
    await expect(who.cell("Auditor", "budget")).toHaveText("21")
    await expect(who.cell("Office Manager", "budget")).toHaveText("10")
    await expect(who.row("Account Executive")).toHaveCount(0)
  }
  const rows = await server.rows()
  expect(rows).toHaveLength(61)
  expect(rows.find((row) => row.designation === "Treasurer")).toMatchObject({ department: "Finance", budget: 34, location: "Mumbai" })
  expect(rows.find((row) => row.designation === "Auditor")).toMatchObject({ budget: 21 })
})

test("a plan made without a network reaches the server, and its link opens it elsewhere", async ({ server, ceo, browser }) => {
  await ceo.expectSync("live", 0)
  await server.kill()
  await ceo.expectSync("offline")
  await ceo.page.getByRole("button", { name: /^Plan: / }).click()
  await ceo.page.getByRole("button", { name: "New plan…" }).click()
  const dialog = ceo.page.getByRole("dialog")
  await dialog.getByLabel("Name").fill("Moon 2030")
  await dialog.getByLabel("Total budget").fill("500")
  await dialog.getByRole("button", { name: "Make the plan" }).click()
  await ceo.add("Astronaut", "Moon", "99", "Sea of Tranquility")
  await expect(ceo.page.locator(".sync-text")).toContainText("waiting")
  await server.up()
  await ceo.expectSync("live", 0)

  const link = ceo.page.url()
  const guest = await person(browser, "Guest")
  await guest.open(link)
  await expect(guest.cell("Astronaut", "budget")).toHaveText("99")
  await guest.page.getByRole("button", { name: "Plan: Moon 2030. Choose another" }).click()
  await expect(guest.page.getByRole("list", { name: "Plans" }).getByRole("button")).toHaveText([/Growth 2027/, /Moon 2030/])
  await guest.context.close()
})

test("the page opens with no server at all, and its worker never answers for the server", async ({ server, ceo }) => {
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

test("a connection that is replaced in a hurry goes on hearing what others do", async ({ ceo, cfo }) => {
  await ceo.expectSync("live", 0)
  // A device that changes its network: the old socket is let go, and a new one is there at once.
  await ceo.page.evaluate(() => {
    window.dispatchEvent(new Event("offline"))
    window.dispatchEvent(new Event("online"))
  })
  await ceo.expectSync("live", 0)
  // Longer than the adapter's own timer, which comes late.
  await ceo.page.waitForTimeout(7_000)
  await cfo.set("Office Manager", "budget", "13")
  await expect(ceo.cell("Office Manager", "budget")).toHaveText("13")
  await ceo.set("Office Manager", "budget", "14")
  await expect(cfo.cell("Office Manager", "budget")).toHaveText("14")
  await ceo.expectSync("live", 0)
})

test("a second tab without a network says how much is waiting, too", async ({ server, ceo }) => {
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

test("what was changed in a plan that is not open goes out, too, and until then the page says so", async ({ server, ceo, browser }) => {
  await ceo.waitForServiceWorker()
  await ceo.expectSync("live", 0)
  await server.kill()
  await ceo.expectSync("offline", 0)
  await ceo.page.getByRole("button", { name: /^Plan: / }).click()
  await ceo.page.getByRole("button", { name: "New plan…" }).click()
  const dialog = ceo.page.getByRole("dialog")
  await dialog.getByLabel("Name").fill("Moon 2030")
  await dialog.getByRole("button", { name: "Make the plan" }).click()
  await ceo.add("Astronaut", "Moon", "99", "Sea of Tranquility")
  await expect(ceo.row("Astronaut")).toBeVisible()
  await expect(ceo.page.locator(".sync-text")).toHaveText(/^Offline, \d changes waiting$/)
  const link = ceo.page.url()

  // Another day: the page opens with the first plan.
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

test("a connection whose way to the server is gone, while the network stays, is let go, and another one is made", async ({
  server,
  ceo,
}) => {
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

test("with the browser's Back one finds to the plan that was open before, and takes what one was typing", async ({ server, ceo }) => {
  const { page } = ceo
  await page.goto(server.url)
  await expect(page).toHaveURL(/#\w+$/)
  await page.getByRole("button", { name: /^Plan: / }).click()
  await page.getByRole("button", { name: "New plan…" }).click()
  await page.getByRole("dialog").getByLabel("Name").fill("Moon 2030")
  await page.getByRole("dialog").getByRole("button", { name: "Make the plan" }).click()
  await ceo.add("Astronaut", "Moon", "99", "Sea of Tranquility")
  await ceo.cell("Astronaut", "budget").focus()
  await page.keyboard.type("101")
  await page.goBack()
  await expect(page.getByRole("button", { name: "Plan: Growth 2027. Choose another" })).toBeVisible()
  await expect(ceo.row("Office Manager")).toBeVisible()
  await page.goForward()
  await expect(ceo.cell("Astronaut", "budget")).toHaveText("101")
})

test("what the browser cannot keep is told, and kept as soon as it can", async ({ server, ceo }) => {
  const { page } = ceo
  await page.addInitScript(() => {
    const state = { isFull: false, asked: 0 }
    const { put } = IDBObjectStore.prototype
    IDBObjectStore.prototype.put = function (...values) {
      const request = put.apply(this, values)
      // As a browser does that finds no room when it is done.
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

test("that there is a newer page is said until it is loaded, whatever plan is open", async ({ ceo }) => {
  const { page } = ceo
  await ceo.waitForServiceWorker()
  await page.reload()
  await ceo.expectSync("live", 0)
  // As when the browser has taken a newer worker.
  await page.evaluate(() => navigator.serviceWorker.dispatchEvent(new Event("controllerchange")))
  await expect(page.getByText("There is a newer version of this page.")).toBeVisible()
  await page.getByRole("button", { name: /^Plan: / }).click()
  await page.getByRole("button", { name: "New plan…" }).click()
  await page.getByRole("dialog").getByLabel("Name").fill("Moon 2030")
  await page.getByRole("button", { name: "Make the plan" }).click()
  await expect(page.getByRole("button", { name: "Plan: Moon 2030. Choose another" })).toBeVisible()
  await expect(page.getByText("There is a newer version of this page.")).toBeVisible()
  // Without a total nothing is over budget.
  await expect(page.locator(".figures dd").first()).toContainText("not set")
})
