/** What is typed into an open form survives a reload, and nothing is left of a form that was closed. */
import { login, test as testWithAccounts } from "./support/accounts"
import { expect, type Person, person, test } from "./support/plan"

const dialog = ({ page }: Person, name: string | RegExp) => page.getByRole("dialog", { name })

async function reload(user: Person): Promise<void> {
  await user.page.reload()
  await expect(user.row("Office Manager")).toBeVisible()
}

const TOTAL = "Total budget, in the unit below"

async function choose({ page }: Person, command: string): Promise<void> {
  await page.getByRole("button", { name: /^Plan: / }).click()
  await page.getByRole("button", { name: command, exact: true }).click()
}

test("a new position is typed across a reload", async ({ cfo, ceo }) => {
  const { page } = cfo
  const form = page.getByRole("form", { name: "New position" })
  await page.getByRole("button", { name: "Add position" }).click()
  await form.getByLabel("Designation").fill("Recruiter")
  await form.getByLabel("Status").selectOption("Open")
  await reload(cfo)
  await expect(form.getByLabel("Designation")).toHaveValue("Recruiter")
  await expect(form.getByLabel("Status")).toHaveValue("open")
  await form.getByLabel("Department").fill("People")
  await form.getByLabel("Location").fill("Pune")
  await form.getByRole("button", { name: "Add", exact: true }).click()
  await expect(ceo.value("Recruiter", "status")).toHaveText("Open")
  await expect(form.getByLabel("Designation")).toHaveValue("")
  await expect(form.getByLabel("Status")).toHaveValue("")

  // Nothing is kept of what was added, or typed before the form was closed.
  await form.getByLabel("Designation").fill("Nobody")
  await form.getByRole("button", { name: "Close" }).click()
  await reload(cfo)
  await expect(form).toHaveCount(0)
})

test("a bulk edit is typed across a reload", async ({ cfo, ceo }) => {
  const { page } = cfo
  await cfo.cell("Office Manager", "budget").focus()
  await page.keyboard.press("Shift+ArrowDown")
  await page.keyboard.press(" ")
  await page.getByRole("button", { name: "Edit the selected positions" }).click()
  const edit = dialog(cfo, "Edit 2 positions")
  await edit.getByLabel("Change", { exact: true }).selectOption("Raise budgets by an amount")
  await edit.getByLabel(/^Amount in/).fill("2")
  await reload(cfo)
  await expect(edit.getByLabel(/^Amount in/)).toHaveValue("2")
  await edit.getByRole("button", { name: "Change 2 positions" }).click()
  await expect(ceo.value("Office Manager", "budget")).toHaveText("10")
  await reload(cfo)
  await expect(edit).toHaveCount(0)
})

test("settings, budgets and columns are typed across a reload", async ({ cfo }) => {
  const { page } = cfo
  await choose(cfo, "Plan settings…")
  const settings = dialog(cfo, "Plan settings")
  await settings.getByLabel(TOTAL).fill("1234")
  await reload(cfo)
  await expect(settings.getByLabel(TOTAL)).toHaveValue("1234")
  await settings.getByRole("button", { name: "Cancel" }).click()

  await page.getByRole("button", { name: "Set budgets" }).click()
  const budgets = dialog(cfo, "Department budgets")
  await budgets.getByLabel("Engineering", { exact: true }).fill("400")
  await budgets.getByLabel("Another department", { exact: true }).fill("Legal")
  await reload(cfo)
  await expect(budgets.getByLabel("Engineering", { exact: true })).toHaveValue("400")
  await expect(budgets.getByLabel("Another department", { exact: true })).toHaveValue("Legal")
  await page.keyboard.press("Escape")

  await page.getByRole("button", { name: "Columns", exact: true }).click()
  await page.getByRole("dialog").getByRole("button", { name: "Add a column…" }).click()
  const column = dialog(cfo, "Add a column")
  await column.getByLabel("Name").fill("Grade")
  await column.getByLabel("Type").selectOption("Choice")
  await column.getByLabel("Options, one in each line").fill("Senior\nJunior")
  await reload(cfo)
  await expect(column.getByLabel("Name")).toHaveValue("Grade")
  await expect(column.getByLabel("Options, one in each line")).toHaveValue("Senior\nJunior")
  await column.getByRole("button", { name: "Add column" }).click()
  await expect(page.getByRole("columnheader", { name: /^Grade/ })).toBeVisible()
  await reload(cfo)
  for (const closed of [settings, budgets, column]) await expect(closed).toHaveCount(0)
})

test("what others save while a form is reloaded is not overwritten", async ({ cfo, ceo }) => {
  await cfo.expectSync("live", 0)
  const settings = dialog(cfo, "Plan settings")
  const other = dialog(ceo, "Plan settings")
  await choose(cfo, "Plan settings…")
  await settings.getByLabel(TOTAL).fill("1234")
  await choose(ceo, "Plan settings…")
  await other.getByLabel("Name", { exact: true }).fill("Growth 2028")
  await other.getByLabel(TOTAL).fill("1500")
  await other.getByRole("button", { name: "Save" }).click()
  await expect(cfo.page).toHaveTitle(/^Growth 2028/)

  await reload(cfo)
  await expect(settings.getByLabel(TOTAL)).toHaveValue("1234")
  await settings.getByRole("button", { name: "Save" }).click()
  await expect(cfo.page.locator(".toast").last()).toContainText("Both values are kept")
  for (const { page } of [cfo, ceo]) {
    await expect(page.getByRole("button", { name: "Compare the values of Total budget of the plan" })).toBeVisible()
    await expect(page).toHaveTitle(/^Growth 2028/)
  }
})

testWithAccounts("a form is typed across the end of a session, and not across a logout", async ({ server, browser }) => {
  const cfo = await person(browser, "")
  const settings = dialog(cfo, "Plan settings")
  await login(cfo, server.url, "cfo")
  await choose(cfo, "Plan settings…")
  await settings.getByLabel(TOTAL).fill("1234")
  await cfo.context.clearCookies()
  await cfo.page.reload()
  await expect(cfo.page.getByRole("heading", { name: "Log in" })).toBeVisible()
  await login(cfo, server.url, "cfo")
  await expect(settings.getByLabel(TOTAL)).toHaveValue("1234")

  const page = await cfo.context.newPage()
  await page.goto(server.url)
  await page.getByRole("button", { name: "Account: cfo" }).click()
  await page.getByRole("button", { name: "Log out" }).click()
  await expect(cfo.page.getByRole("heading", { name: "Log in" })).toBeVisible()
  await login(cfo, server.url, "cfo")
  await expect(cfo.row("Office Manager")).toBeVisible()
  await expect(settings).toHaveCount(0)
  await cfo.context.close()
})
