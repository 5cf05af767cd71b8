/** Who may see and edit a plan, managed from the page. */
import { login, PASSWORD, test } from "./support/accounts"
import { expect, type Person, person, test as withoutAccounts } from "./support/plan"
import type { Server } from "./support/server"

const dialog = ({ page }: Person) => page.getByRole("dialog", { name: /^Share / })
const member = (user: Person, name: string) => dialog(user).getByRole("listitem").filter({ hasText: name })

/** Logs in `ceo`, who creates a plan and opens its share dialog. */
async function shareNewPlan(server: Server, ceo: Person, name: string): Promise<void> {
  await login(ceo, server.url, name)
  await ceo.page.getByRole("button", { name: /^Plan: / }).click()
  await ceo.page.getByRole("button", { name: "New plan…" }).click()
  await ceo.page.getByRole("dialog").getByLabel("Name").fill("Moon 2030")
  await ceo.page.getByRole("dialog").getByRole("button", { name: "Create plan" }).click()
  await expect(ceo.page.getByRole("button", { name: "Plan: Moon 2030. Switch plan" })).toBeVisible()
  await ceo.expectSync("live", 0)
  await ceo.page.getByRole("button", { name: "Share", exact: true }).click()
}

test("an owner adds, changes and removes people", async ({ server, browser }) => {
  server.addUser("guest@example.com", "editor", PASSWORD, "default")
  const [ceo, guest] = [await person(browser, ""), await person(browser, "")]
  await shareNewPlan(server, ceo, "ceo")
  await expect(member(ceo, "ceo")).toContainText("you, created the plan")
  const link = await dialog(ceo).getByLabel("Link to this plan").inputValue()

  // Account names are stored in lower case.
  await dialog(ceo).getByLabel("Add a person").fill(" Guest@Example.com ")
  await dialog(ceo).getByLabel("Role of the new person").selectOption("Can view")
  await dialog(ceo).getByRole("button", { name: "Add", exact: true }).click()
  await expect(dialog(ceo).getByText("guest@example.com was added: can view.")).toBeVisible()
  await expect(dialog(ceo).getByLabel("Add a person")).toHaveValue("")
  await login(guest, link, "guest@example.com")
  await expect(guest.page.getByRole("button", { name: "Plan: Moon 2030. Switch plan" })).toBeVisible()
  await expect(guest.page.getByText("You need edit access to change this plan")).toBeVisible()
  await guest.page.getByRole("button", { name: "Share", exact: true }).click()
  await expect(dialog(guest)).toContainText("You can view this plan. Only its owners can see and change who has access.")
  await guest.page.keyboard.press("Escape")

  await dialog(ceo).getByLabel("Role of guest@example.com").selectOption("Can edit")
  await expect(dialog(ceo).getByText("guest@example.com: can edit.")).toBeVisible()
  await expect(async () => {
    await guest.page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")))
    await expect(guest.page.getByRole("button", { name: "Add position" }).first()).toBeVisible({ timeout: 500 })
  }).toPass()

  await dialog(ceo).getByRole("button", { name: "Remove guest@example.com" }).click()
  await expect(member(ceo, "guest@example.com")).toHaveCount(0)
  await expect(async () => {
    await guest.page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")))
    await expect(guest.page.getByText(/no longer have access/).first()).toBeVisible({ timeout: 500 })
  }).toPass()
  await ceo.context.close()
  await guest.context.close()
})

test("the last owner stays, and refusals are shown", async ({ server, browser }) => {
  const cfo = await person(browser, "")
  await shareNewPlan(server, cfo, "cfo")
  await expect(member(cfo, "cfo")).toContainText("A plan needs an owner. Make somebody else an owner first.")
  await expect(dialog(cfo).getByLabel("Role of cfo")).toBeDisabled()
  await expect(dialog(cfo).getByRole("button", { name: "Remove cfo" })).toBeDisabled()

  const add = async (name: string) => {
    await dialog(cfo).getByLabel("Add a person").fill(name)
    await dialog(cfo).getByRole("button", { name: "Add", exact: true }).click()
  }
  const problem = dialog(cfo).getByRole("alert")
  await add(" ")
  await expect(problem).toHaveText("Enter the name or email of an account.")
  await add("CFO")
  await expect(problem).toHaveText("cfo is in the list already. Change the role there.")
  await add("x".repeat(201))
  await expect(problem).toContainText("User: ")
  await expect(dialog(cfo).getByLabel("Add a person")).toHaveValue("x".repeat(201))

  // With a second owner, cfo may step down. Meanwhile the other owner has left.
  await dialog(cfo).getByLabel("Role of the new person").selectOption("Owner")
  await add("anita")
  await expect(member(cfo, "anita")).toBeVisible()
  const id = (await cfo.page.evaluate(() => location.hash)).slice(1)
  await cfo.page.evaluate((path) => fetch(path, { method: "DELETE" }), `api/documents/${id}/access/anita`)
  cfo.page.once("dialog", (question) => void question.accept())
  await dialog(cfo).getByLabel("Role of cfo").selectOption("Can view")
  await expect(problem).toHaveText("The document needs an owner; make another user an owner first.")
  await expect(dialog(cfo).getByLabel("Role of cfo")).toHaveValue("owner")
  await expect(member(cfo, "anita")).toHaveCount(0)
  await cfo.context.close()
})

test("sharing needs a connection", async ({ server, browser }) => {
  const cfo = await person(browser, "")
  await login(cfo, server.url, "cfo")
  await cfo.page.getByRole("button", { name: "Share", exact: true }).click()
  await expect(dialog(cfo)).toContainText("You can edit this plan. Only its owners can see and change who has access.")
  await server.kill()
  await expect(dialog(cfo)).toContainText("You are offline. Connect to the server to see and change who has access.")
  await cfo.context.close()
})

withoutAccounts("without accounts everybody who reaches the server has access", async ({ cfo }) => {
  await cfo.context.grantPermissions(["clipboard-read", "clipboard-write"])
  await cfo.page.getByRole("button", { name: "Share", exact: true }).click()
  await expect(dialog(cfo)).toContainText("Everybody who can reach this server can see, edit and delete this plan.")
  await dialog(cfo).getByRole("button", { name: "Copy link" }).click()
  await expect(dialog(cfo).getByRole("status")).toHaveText("Link copied.")
  expect(await cfo.page.evaluate(() => navigator.clipboard.readText())).toBe(cfo.page.url())
})
