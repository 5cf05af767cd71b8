/** Numbers in a locale with a decimal comma. */
import { readFileSync } from "node:fs"
import { copy, paste } from "./support/clipboard"
import { expect, person, test } from "./support/plan"
import { Server } from "./support/server"

test("numbers round-trip in a locale with a decimal comma", async ({ browser }) => {
  const server = await Server.start({ rows: [] })
  await fetch(`${server.url}/api/documents/default`, {
    method: "PATCH",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ totalBudget: 12.125 }),
  })
  const cfo = await person(browser, "CFO", { locale: "de-DE" })
  const { page } = cfo
  await cfo.open(server.url)
  await cfo.add("Cook", "Kitchen", "12,125", "Pune")

  // Rename the plan and leave everything else.
  await page.getByRole("button", { name: /^Plan: / }).click()
  await page.getByRole("button", { name: "Plan settings…" }).click()
  const dialog = page.getByRole("dialog", { name: "Plan settings" })
  await expect(dialog.getByLabel("Total budget")).toHaveValue("12,125")
  await dialog.getByLabel("Name").fill("Wachstum")
  await dialog.getByRole("button", { name: "Save" }).click()
  await expect(page.getByRole("button", { name: /^Plan: Wachstum/ })).toBeVisible()
  await cfo.expectSync("live", 0)
  const plan = await (await fetch(`${server.url}/api/documents/default`)).json()
  expect(plan).toMatchObject({ name: "Wachstum", totalBudget: 12.125 })

  // Change one digit in a cell.
  await cfo.cell("Cook", "budget").focus()
  await page.keyboard.press("F2")
  const editor = page.getByRole("textbox", { name: "Budget of Cook" })
  await expect(editor).toHaveValue("12,125")
  await page.keyboard.press("End")
  await page.keyboard.press("Backspace")
  await page.keyboard.type("6")
  await page.keyboard.press("Enter")
  await cfo.expectSync("live", 0)
  const budgets = async () => (await server.rows()).map((row) => row.budget)
  await expect.poll(budgets).toEqual([12.126])

  // Copy and paste.
  await page.getByRole("checkbox", { name: "Select Cook" }).check()
  await cfo.cell("Cook", "designation").focus()
  const copied = await copy(page)
  await page.getByRole("button", { name: "Add a position, or paste rows here" }).focus()
  await paste(page, copied)
  await cfo.expectSync("live", 0)
  await expect.poll(budgets).toEqual([12.126, 12.126])

  await page.getByRole("checkbox", { name: "Select Cook", checked: true }).click()

  // Export and import a file.
  const download = page.waitForEvent("download")
  await page.getByRole("button", { name: "Import or export" }).click()
  await page.getByRole("button", { name: "Export all as CSV" }).click()
  const exported = readFileSync(await (await download).path())
  await page.getByRole("button", { name: "Import or export" }).click()
  await page.getByRole("button", { name: "Import a table…" }).click()
  await page
    .getByLabel("Choose an Excel or CSV file, or drop one here")
    .setInputFiles({ name: "again.csv", mimeType: "text/csv", buffer: exported })
  await expect(page.getByRole("dialog").getByText("Nothing changes: all 2 positions equal the plan.")).toBeVisible()
  await cfo.context.close()
  await server.close()
})
