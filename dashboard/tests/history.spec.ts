/** The history of the document. */
import { expect, person, test, whileOffline } from "./support/plan"

test("the history of a position works offline and restores", async ({ server, ceo, cfo }) => {
  await ceo.set("Head of Design", "budget", "40")
  await expect(cfo.cell("Head of Design", "budget")).toHaveText("40")
  await cfo.set("Head of Design", "location", "Pune")
  await cfo.expectSync("live", 0)
  await server.kill()
  await cfo.expectSync("offline")

  await cfo.row("Head of Design").getByRole("button", { name: "History of Head of Design" }).click()
  const panel = cfo.page.getByRole("dialog", { name: "History of Head of Design" })
  const entries = panel.locator(".entry")
  await expect(entries).toHaveCount(3)
  await expect(entries.nth(0)).toContainText("CFO")
  await expect(entries.nth(0)).toContainText(/location Bengaluru.*Pune/)
  await expect(entries.nth(1)).toContainText("CEO")
  await expect(entries.nth(1)).toContainText(/budget 38.*40/)
  await panel.getByRole("button", { name: "Restore 38" }).click()
  await expect(entries.nth(0)).toContainText(/budget 40.*38/)
  await panel.getByRole("button", { name: "Close" }).click()
  await expect(cfo.cell("Head of Design", "budget")).toHaveText("38")
  await server.up()
  await expect(ceo.cell("Head of Design", "budget")).toHaveText("38")
})

test("an earlier version of the plan is shown", async ({ cfo }) => {
  const { page } = cfo
  await cfo.add("Magician", "Magic", "77", "Goa")
  await cfo.remove("Office Manager")
  await page.getByRole("button", { name: "History", exact: true }).click()
  const slider = page.getByRole("slider", { name: "View an earlier version" })
  await slider.focus()
  await page.keyboard.press("ArrowLeft")
  const past = page.getByRole("region", { name: "Earlier version" })
  await expect(past).toContainText("61 positions, ₹1,331 lakh of ₹2,000 lakh")
  await expect(past.getByRole("cell", { name: "Office Manager" })).toBeVisible()
  await page.keyboard.press("ArrowLeft")
  await expect(past).toContainText("60 positions, ₹1,254 lakh")
  await past.getByRole("button", { name: "Back to now" }).click()
  await expect(past.getByRole("cell")).toHaveCount(0)
})

test("plan settings sync to other users", async ({ ceo, cfo }) => {
  await ceo.page.getByRole("button", { name: /^Plan: / }).click()
  await ceo.page.getByRole("button", { name: "Plan settings…" }).click()
  const dialog = ceo.page.getByRole("dialog", { name: "Plan settings" })
  await dialog.getByLabel("Name").fill("Growth 2028")
  await dialog.getByLabel("Total budget").fill("1,000")
  await dialog.getByRole("button", { name: "Save" }).click()
  await expect(cfo.page.getByRole("button", { name: "Plan: Growth 2028. Switch plan" })).toBeVisible()
  await expect(cfo.page.getByText("Over budget")).toBeVisible()
  await expect(cfo.page.locator(".figures .over dd")).toHaveText("₹254 lakh")
})

test("loaded history pages stay open during remote edits", async ({ server, cfo }) => {
  const [row] = await server.rows()
  const change = (budget: number) => server.change(row?.id ?? "", { budget })
  for (let budget = 1; budget <= 50; budget += 1) await change(budget)
  await expect(cfo.cell(row?.designation ?? "", "budget")).toHaveText("50")
  await cfo.page.getByRole("button", { name: "History", exact: true }).click()
  const panel = cfo.page.getByRole("dialog", { name: "History of the plan" })
  await expect(panel.locator(".entry")).toHaveCount(40)
  await panel.getByRole("button", { name: "Show earlier changes" }).click()
  await expect.poll(() => panel.locator(".entry").count()).toBeGreaterThan(50)
  const before = await panel.locator(".entry").count()
  await change(99)
  await expect(panel.locator(".entry").first()).toContainText("99")
  expect(await panel.locator(".entry").count()).toBeGreaterThan(before)
})

test("the history of a position survives its deletion", async ({ ceo, cfo }) => {
  await cfo.row("Head of Design").getByRole("button", { name: "History of Head of Design" }).click()
  const panel = cfo.page.getByRole("dialog", { name: "History of Head of Design" })
  await expect(panel.locator(".entry")).toHaveCount(1)
  await ceo.remove("Head of Design")
  await expect(panel.locator(".entry")).toHaveCount(2)
  await expect(panel).toContainText("This position was deleted.")
  await expect(panel.locator(".entry").first()).toContainText("deleted it")
})

test("late answers do not reopen an earlier version", async ({ server, ceo }) => {
  const { page } = ceo
  await page.addInitScript(() => {
    const held: (() => void)[] = []
    let isHeld = false
    const Real = window.Worker
    window.Worker = class extends Real {
      override set onmessage(listener: (event: MessageEvent) => void) {
        super.onmessage = (event) => {
          if (isHeld && event.data.type === "response") held.push(() => listener.call(this, event))
          else listener.call(this, event)
        }
      }
    }
    Object.assign(window, {
      hold: () => {
        isHeld = true
      },
      release: () => {
        isHeld = false
        for (const answer of held.splice(0)) answer()
      },
      answers: () => held.length,
    })
  })
  await ceo.open(server.url)
  await ceo.set("Office Manager", "budget", "10")
  await page.getByRole("button", { name: "History", exact: true }).click()
  const slider = page.getByRole("slider", { name: "View an earlier version" })
  await expect(page.locator(".entry").first()).toContainText("10")
  await page.evaluate("hold()")
  await slider.focus()
  await page.keyboard.press("ArrowLeft")
  await expect.poll(() => page.evaluate("answers()")).toBe(1)
  await page.keyboard.press("ArrowRight")
  await page.evaluate("release()")
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))))
  await expect(page.getByRole("button", { name: "Back to now" })).toHaveCount(0)
  await page.keyboard.press("ArrowLeft")
  await page.getByRole("button", { name: "Back to now" }).click()
  await expect(page.getByRole("button", { name: "Back to now" })).toHaveCount(0)
})

test("earlier versions use their own currency and unit", async ({ cfo }) => {
  const { page } = cfo
  await page.getByRole("button", { name: /^Plan: / }).click()
  await page.getByRole("button", { name: "Plan settings…" }).click()
  const dialog = page.getByRole("dialog", { name: "Plan settings" })
  await dialog.getByLabel("Currency").fill("USD")
  await dialog.getByRole("button", { name: "Save" }).click()
  await expect(page.locator(".figures")).toContainText("$")
  await page.getByRole("button", { name: "History", exact: true }).click()
  await page.getByRole("slider", { name: "View an earlier version" }).focus()
  await page.keyboard.press("ArrowLeft")
  await expect(page.getByRole("region", { name: "Earlier version" })).toContainText("60 positions, ₹1,254 lakh of ₹2,000 lakh")
})

test("deletions can be undone from the history", async ({ ceo, cfo }) => {
  const { page } = ceo
  await ceo.remove("Office Manager")
  await page.reload()
  await page.getByRole("checkbox", { name: "Select Head of Design" }).check()
  await page.getByRole("checkbox", { name: "Select QA Engineer" }).check()
  await page.getByRole("button", { name: "Delete the selected positions" }).click()
  await expect(cfo.row("QA Engineer")).toHaveCount(0)
  await page.getByRole("button", { name: "History", exact: true }).click()
  const entries = page.getByRole("dialog", { name: "History of the plan" }).locator(".entry")
  await expect(entries.nth(0)).toContainText("deleted Head of Design")
  await entries.nth(1).getByRole("button", { name: "Restore Office Manager" }).click()
  await expect(cfo.cell("Office Manager", "budget")).toHaveText("8")
  await expect(page.getByRole("button", { name: "Restore Office Manager" })).toHaveCount(0)
  await page.getByRole("button", { name: "Restore all 2" }).click()
  for (const name of ["Head of Design", "QA Engineer"]) await expect(cfo.row(name)).toHaveCount(1)
})

test("a message without an action keeps the Undo toast", async ({ ceo, cfo }) => {
  await ceo.remove("Office Manager")
  await ceo.add("Magician", "Magic", "77", "Goa")
  await expect(ceo.page.getByText("Added “Magician”.")).toBeVisible()
  await ceo.undo()
  await expect(cfo.row("Office Manager")).toHaveCount(1)
})

test("conflicts work without the history worker", async ({ server, ceo, cfo, browser }) => {
  await whileOffline(server, [ceo, cfo], async () => {
    await ceo.set("Head of Design", "budget", "45")
    await cfo.set("Head of Design", "budget", "31")
  })
  const guest = await person(browser, "Guest", { serviceWorkers: "block" })
  await guest.page.route(/\/worker-[^/]*\.js$/, (route) => route.abort())
  await guest.open(server.url)
  await guest.expectSync("live", 0)
  // Opened from the local copy: no patch reports the conflict.
  await guest.open(server.url)
  await expect(guest.page.getByRole("region", { name: "Needs review" })).toContainText("The history could not be read")
  await guest.page.getByRole("button", { name: "Compare the values of Budget of Head of Design" }).click()
  await expect(guest.page.getByText("Unknown author")).toHaveCount(2)
  await guest.context.close()
})
