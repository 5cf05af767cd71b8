/** The page below a path prefix of a reverse proxy. */
import { test as base, expect, person } from "./support/plan"
import { PrefixProxy } from "./support/proxy"
import { Server } from "./support/server"

const PASSWORD = "correct horse battery"

const test = base.extend<{ below: PrefixProxy }>({
  below: async ({ server }, use) => {
    const proxy = await PrefixProxy.start(server)
    await use(proxy)
    await proxy.close()
  },
})

test("the page syncs and opens offline below a path prefix", async ({ server, below, cfo, browser }) => {
  const ceo = await person(browser, "CEO")
  const { page } = ceo
  const outside: string[] = []
  page.on("request", (request) => {
    const { pathname, protocol } = new URL(request.url())
    if (protocol.startsWith("http") && !pathname.startsWith("/plan/")) outside.push(pathname)
  })
  await ceo.open(below.url)
  await expect(page).toHaveURL(/\/plan\/#\w+$/)
  await ceo.expectSync("live", 0)
  await ceo.set("Office Manager", "budget", "10")
  await expect(cfo.cell("Office Manager", "budget")).toHaveText("10")
  await cfo.set("Office Manager", "budget", "11")
  await expect(ceo.cell("Office Manager", "budget")).toHaveText("11")

  await ceo.waitForServiceWorker()
  await server.kill()
  await ceo.expectSync("offline", 0)
  await page.goto(below.url)
  await expect(ceo.cell("Office Manager", "budget")).toHaveText("11")
  await ceo.set("Office Manager", "budget", "12")
  await ceo.expectSync("offline", 1)
  for (const path of ["api/session", "data/", "sync"])
    expect(await page.evaluate((asked) => fetch(asked).then((response) => response.status), path), path).toBe(502)
  await server.up()
  await ceo.expectSync("live", 0)
  await expect(cfo.cell("Office Manager", "budget")).toHaveText("12")
  expect(outside).toEqual([])
  await ceo.context.close()
})

test("login and logout work below a path prefix", async ({ browser }) => {
  const server = await Server.start({ flags: [] })
  await server.kill()
  const proxy = await PrefixProxy.start(server)
  server.addUser("cfo", "editor", PASSWORD)
  server.flags.push("--auth", server.auth, "--allow-origin", new URL(proxy.url).origin)
  await server.up()
  const cfo = await person(browser, "")
  const { page } = cfo
  await page.goto(proxy.url)
  await page.getByLabel("Username or email").fill("cfo")
  await page.getByLabel("Password").fill(PASSWORD)
  await page.getByRole("button", { name: "Log in" }).click()
  await cfo.set("Office Manager", "budget", "9.5")
  await cfo.expectSync("live", 0)
  await expect(cfo.row("Office Manager").locator(".author")).toHaveText("cfo")

  await page.getByRole("button", { name: "Account: cfo" }).click()
  await page.getByRole("button", { name: "Log out" }).click()
  await expect(page.getByRole("heading", { name: "Log in" })).toBeVisible()
  await expect(page).toHaveURL(proxy.url)
  const names = await page.evaluate(() => Object.keys(localStorage).filter((name) => name !== "happierwork.name"))
  expect(names).toEqual(["happierwork/plan.session"])
  await cfo.context.close()
  await proxy.close()
  await server.close()
})

test("links of /about work below a path prefix", async ({ below, page }) => {
  await page.goto(`${below.url}about`)
  const links = await page.getByRole("link").evaluateAll((all) => all.map((link) => (link as HTMLAnchorElement).href))
  const own = links.filter((link) => link.startsWith("http://127.0.0.1:"))
  expect(own.length).toBeGreaterThan(5)
  for (const link of own) expect((await fetch(link)).status, link).toBe(200)
})
