/** axe-core finds no violation on any view, light and dark. */
import { AxeBuilder } from "@axe-core/playwright"
import type { Page } from "@playwright/test"
import { login } from "./support/accounts"
import { paste } from "./support/clipboard"
import { expect, person, test } from "./support/plan"
import { Server } from "./support/server"

async function isClean(page: Page, view: string): Promise<void> {
  const { violations } = await new AxeBuilder({ page })
    .withTags(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"])
    .analyze()
  expect(
    violations.map(({ id, nodes }) => ({ id, nodes: nodes.map((node) => `${node.html.slice(0, 200)} ${node.failureSummary}`) })),
    view,
  ).toEqual([])
}

for (const colorScheme of ["light", "dark"] as const) {
  for (const [device, viewport] of [
    ["desktop", { width: 1280, height: 860 }],
    ["phone", { width: 390, height: 844 }],
  ] as const) {
    test(`every view is accessible: ${colorScheme}, ${device}`, async ({ browser }) => {
      test.slow()
      const server = await Server.start()
      const ceo = await person(browser, "CEO", { colorScheme, viewport })
      const cfo = await person(browser, "CFO", { colorScheme, viewport })
      const { page } = ceo
      await ceo.open(server.url)
      await cfo.open(server.url)
      await isClean(page, "the plan")

      await page.getByRole("button", { name: "Add position" }).click()
      await page.getByRole("form").getByRole("button", { name: "Add", exact: true }).click()
      await isClean(page, "the form, with a problem")
      await page.getByRole("form").getByRole("button", { name: "Close" }).click()

      await ceo.cell("Office Manager", "budget").focus()
      await page.keyboard.type("x")
      await page.keyboard.press("Enter")
      await isClean(page, "a cell that cannot be taken")
      await page.keyboard.press("Escape")

      await page.keyboard.press("Shift+ArrowDown")
      await page.keyboard.press("Shift+ArrowLeft")
      await isClean(page, "selected cells")
      await paste(page, { text: "$1\n$2" })
      await page.getByRole("button", { name: /^Show all/ }).click()
      await isClean(page, "refused values")
      await page.keyboard.press("Escape")
      await page.keyboard.press("?")
      await expect(page.getByRole("dialog", { name: "Keyboard shortcuts" })).toBeVisible()
      await isClean(page, "the keys")
      await page.keyboard.press("Escape")
      await page.keyboard.press("ControlOrMeta+k")
      await expect(page.getByRole("dialog", { name: "Commands" })).toBeVisible()
      await isClean(page, "the commands")
      await page.keyboard.press("Escape")

      await ceo.cell("Office Manager", "status").focus()
      await page.keyboard.press("Enter")
      await isClean(page, "the editor of a status")
      await page.keyboard.type("approved")
      await page.keyboard.press("Tab")
      await page.keyboard.type("2030-06")
      await isClean(page, "the editor of a month")
      await page.keyboard.press("Enter")
      await ceo.set("Office Manager", "end", "2030-01")
      await ceo.set("Office Manager", "budget", "7")
      await page.getByText("Numbers by month").click()
      await isClean(page, "the year")
      await ceo
        .row("Office Manager")
        .getByRole("button", { name: /changed since approval/ })
        .click()
      await expect(page.getByRole("region", { name: "Approval" })).toBeVisible()
      await isClean(page, "an approval")
      await page.keyboard.press("Escape")

      await page.getByRole("button", { name: /^Plan: / }).click()
      await isClean(page, "the menu of plans")
      await page.getByRole("button", { name: "New plan…" }).click()
      await isClean(page, "a new plan")
      await page.keyboard.press("Escape")
      for (const command of ["Share…", "Duplicate…", "Delete…"]) {
        await page.getByRole("button", { name: /^Plan: / }).click()
        await page.getByRole("button", { name: command }).click()
        await expect(page.getByRole("dialog")).toBeVisible()
        await isClean(page, command)
        await page.keyboard.press("Escape")
      }
      await page.getByRole("button", { name: /^Plan: / }).click()
      await page.getByRole("button", { name: "Duplicate…" }).click()
      await page.getByRole("dialog").getByRole("button", { name: "Duplicate", exact: true }).click()
      await expect(page.getByRole("button", { name: /^Plan: Copy of/ })).toBeVisible()
      await page.getByRole("button", { name: /^Plan: / }).click()
      await page.getByRole("button", { name: "Archive", exact: true }).click()
      await expect(page.getByText("This plan is archived")).toBeVisible()
      await page.getByRole("button", { name: /^Plan: / }).click()
      await isClean(page, "an archived plan in the menu")
      await page.getByRole("button", { name: "Delete…" }).click()
      await page.getByRole("dialog").getByRole("textbox").fill("Copy of Growth 2027")
      await isClean(page, "a confirmed deletion")
      await page.getByRole("dialog").getByRole("button", { name: "Delete plan" }).click()
      await expect(page.getByRole("button", { name: /^Plan: Growth 2027/ })).toBeVisible()
      await page.emulateMedia({ media: "print" })
      await page.evaluate(() => dispatchEvent(new Event("beforeprint")))
      await isClean(page, "the printed pages")
      await page.emulateMedia({ media: "screen" })
      await page.evaluate(() => dispatchEvent(new Event("afterprint")))
      await page.getByRole("button", { name: /^Account: / }).click()
      await isClean(page, "the menu of the user")
      await page.keyboard.press("Escape")

      await server.kill()
      await ceo.expectSync("offline")
      await cfo.expectSync("offline")
      await ceo.set("Head of Design", "budget", "45")
      await cfo.set("Head of Design", "budget", "31")
      await isClean(page, "without a network")
      await server.up()
      await ceo.expectSync("live", 0)
      await cfo.expectSync("live", 0)
      await cfo.cell("Office Manager", "budget").focus()
      await expect(ceo.cell("Office Manager", "budget").locator(".flag")).toBeVisible()
      await isClean(page, "with a conflict, and a collaborator in a cell")
      await page.getByRole("button", { name: /2 conflicting values/ }).click()
      await expect(page.getByRole("dialog").getByText(/^CEO, /)).toBeVisible()
      await isClean(page, "a conflict")
      await page.keyboard.press("Escape")

      await page.getByRole("button", { name: "History", exact: true }).click()
      await expect(page.locator(".entry").first()).toBeVisible()
      await page.getByRole("slider").focus()
      await page.keyboard.press("ArrowLeft")
      await expect(page.locator(".positions-table")).toBeVisible()
      await isClean(page, "the history, and the past")
      await page.keyboard.press("Escape")

      await page.getByRole("button", { name: "Import or export" }).click()
      await page.getByRole("button", { name: "Import a table…" }).click()
      await page
        .locator('input[type="file"]')
        .setInputFiles({ name: "a.csv", mimeType: "text/csv", buffer: Buffer.from("designation,budget\nCook,3\nWaiter,many\n") })
      await isClean(page, "an import")
      await page.keyboard.press("Escape")

      await page.getByRole("checkbox", { name: "Select Office Manager" }).check()
      await isClean(page, "with a selection")
      await page.getByRole("searchbox").fill("nothing is called this")
      await expect(page.getByText("No positions match your filters.")).toBeVisible()
      await isClean(page, "nothing found")

      const users = await Server.start()
      await users.kill()
      users.addUser("board", "viewer", "correct horse battery")
      users.flags.push("--auth", users.auth)
      await users.up()
      await page.goto(users.url)
      await page.getByLabel("Username or email").fill("board")
      await page.getByLabel("Password").fill("wrong, wrong, wrong")
      await page.getByRole("button", { name: "Log in" }).click()
      await expect(page.getByRole("alert")).toBeVisible()
      await isClean(page, "a login that failed")
      await page.getByLabel("Password").fill("correct horse battery")
      await page.getByRole("button", { name: "Log in" }).click()
      await expect(page.getByRole("grid")).toBeVisible()
      await isClean(page, "a viewer's plan")
      users.addUser("ceo", "owner", "correct horse battery")
      await page.evaluate(() => fetch("accounts/api/logout/", { method: "POST" }))
      await login(ceo, users.url, "ceo")
      await page.getByRole("button", { name: /^Plan: / }).click()
      await page.getByRole("button", { name: "Share…" }).click()
      await page.getByLabel("Add a person").fill("cfo@example.com")
      await page.getByRole("button", { name: "Add", exact: true }).click()
      await expect(page.getByLabel("Role of cfo@example.com")).toBeVisible()
      await isClean(page, "the people with access")

      await ceo.context.close()
      await cfo.context.close()
      await users.close()
      await server.close()
    })
  }
}
