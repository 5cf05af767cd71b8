/** Scenarios are created, edited, compared, merged and dropped. */
import { expectAccessible } from "./support/accessibility"
import { login, test as withAccounts } from "./support/accounts"
import { expect, type Person, person, test, whileOffline } from "./support/plan"

const bar = ({ page }: Person) => page.getByRole("region", { name: /^Scenario / })
const dialog = ({ page }: Person) => page.getByRole("dialog")

async function choose({ page }: Person, command: string): Promise<void> {
  await page.getByRole("button", { name: /^Plan: / }).click()
  await page.getByRole("button", { name: command, exact: true }).click()
}

/** Creates a scenario from the open plan, which opens it. */
async function tryScenario(user: Person, name: string): Promise<void> {
  await user.expectSync("live", 0)
  await choose(user, "Try a scenario…")
  await dialog(user).getByLabel("Name of the scenario").fill(name)
  await dialog(user).getByRole("button", { name: "Create scenario" }).click()
  await expect(bar(user)).toHaveAccessibleName(`Scenario “${name}” of Growth 2027`)
  await expect(user.row("Office Manager")).toBeVisible()
}

/** Opens a scenario that somebody else has created. */
async function openScenario(user: Person, name: string): Promise<void> {
  await expect(async () => {
    await user.page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")))
    await user.page.getByRole("button", { name: /^Plan: / }).click()
    const item = user.page.getByRole("list", { name: "Scenarios of Growth 2027" }).getByRole("button", { name })
    await item.click({ timeout: 1_000 }).finally(() => user.page.keyboard.press("Escape"))
  }).toPass()
  await expect(bar(user)).toBeVisible()
}

test("two people edit a scenario, compare it, and merge it", async ({ ceo, cfo }) => {
  await tryScenario(ceo, "Hiring freeze")
  await expectAccessible(ceo.page, "a scenario")
  await ceo.page.getByRole("button", { name: "Plan: Growth 2027, scenario: Hiring freeze. Switch plan" }).click()
  await expectAccessible(ceo.page, "the menu in a scenario")
  await ceo.page.getByRole("button", { name: "Try another scenario…" }).click()
  await expectAccessible(ceo.page, "the question for a name")
  await ceo.page.keyboard.press("Escape")
  await ceo.set("Office Manager", "budget", "12")
  await ceo.add("Recruiter", "People", "18", "Pune")
  await openScenario(cfo, "Hiring freeze")
  await expect(cfo.value("Office Manager", "budget")).toHaveText("12")
  await cfo.set("Office Manager", "location", "Delhi")
  await expect(ceo.value("Office Manager", "location")).toHaveText("Delhi")

  // The plan is as it was. A colleague changes it meanwhile.
  await bar(cfo).getByRole("button", { name: "Back to the plan" }).click()
  await expect(bar(cfo)).toHaveCount(0)
  await expect(cfo.value("Office Manager", "budget")).toHaveText("8")
  await cfo.set("Office Manager", "budget", "10")
  await cfo.expectSync("live", 0)
  await ceo.expectSync("live", 0)

  await bar(ceo).getByRole("button", { name: "Compare" }).click()
  await expect(dialog(ceo).getByRole("status").first()).toHaveText("The scenario changes: 1 position added, 1 changed. 1 conflict.")
  const fields = dialog(ceo).getByRole("table", { name: "Changed fields of Office Manager" })
  await expect(fields.getByRole("row", { name: /^Budget/ })).toHaveText(/^Budget\s*conflict\s*10\s*12\s*8$/)
  await expect(fields.getByRole("row", { name: /^Location/ })).toContainText("Delhi")
  const sums = dialog(ceo).getByRole("table", { name: "Budgets by department" })
  await expect(sums.getByRole("row", { name: /^Total/ })).toContainText("+22")
  await expectAccessible(ceo.page, "the comparison")

  await dialog(ceo).getByRole("button", { name: "Merge everything…" }).click()
  await expect(dialog(ceo)).toContainText("1 position added, 1 changed")
  await expect(dialog(ceo)).toContainText("Office Manager: budget 10 in the plan, 12 in the scenario")
  await expectAccessible(ceo.page, "the question before a merge")
  await dialog(ceo).getByRole("button", { name: "Merge", exact: true }).click()

  await expect(ceo.page.locator(".toast").filter({ hasText: "Merged" })).toHaveText(
    /^Merged “Hiring freeze”: 1 position added, 1 changed\. 1 conflict needs review\./,
  )
  await expect(bar(ceo)).toHaveCount(0)
  for (const user of [ceo, cfo]) {
    await expect(user.row("Recruiter")).toBeVisible()
    await expect(user.value("Office Manager", "location")).toHaveText("Delhi")
    await expect(user.page.getByRole("button", { name: "Plan: Growth 2027. Switch plan" })).toBeVisible()
  }
  const review = cfo.page.getByRole("region", { name: /review/i })
  await review
    .getByRole("button", { name: /Office Manager/ })
    .first()
    .click()
  await dialog(cfo)
    .getByRole("button", { name: /(Keep|Use) this: 12$/ })
    .click()
  for (const user of [ceo, cfo]) await expect(user.value("Office Manager", "budget")).toHaveText("12")
})

test("ticked positions are merged, and the rest later", async ({ ceo, cfo }) => {
  await tryScenario(ceo, "Growth")
  await ceo.add("Recruiter", "People", "18", "Pune")
  await ceo.add("Analyst", "Finance", "21", "Delhi")
  await ceo.remove("Office Manager")
  await ceo.expectSync("live", 0)

  await bar(ceo).getByRole("button", { name: "Compare" }).click()
  await dialog(ceo).getByRole("checkbox", { name: "Recruiter" }).press("Space")
  await dialog(ceo).getByRole("button", { name: "Merge 1 selected…" }).press("Enter")
  await expect(dialog(ceo)).toContainText("1 position added.")
  await dialog(ceo).getByRole("button", { name: "Merge", exact: true }).press("Enter")
  await expect(ceo.page.locator(".toast").filter({ hasText: "Merged “Growth”: 1 position added." })).toBeVisible()
  for (const user of [ceo, cfo]) {
    await expect(user.row("Recruiter")).toBeVisible()
    await expect(user.row("Office Manager")).toBeVisible()
    await expect(user.row("Analyst")).toHaveCount(0)
  }

  await openScenario(ceo, "Growth")
  await bar(ceo).getByRole("button", { name: "Merge into the plan…" }).click()
  await expect(dialog(ceo)).toContainText("1 position added, 1 deleted.")
  await dialog(ceo).getByRole("button", { name: "Merge", exact: true }).click()
  await expect(cfo.row("Analyst")).toBeVisible()
  await expect(cfo.row("Recruiter")).toHaveCount(1)
  await expect(cfo.row("Office Manager")).toHaveCount(0)
})

test("a scenario is renamed in its plan, and dropped", async ({ ceo, cfo }) => {
  await tryScenario(ceo, "Draft")
  await openScenario(cfo, "Draft")
  await choose(ceo, "Settings…")
  await expect(dialog(ceo).getByLabel("Name", { exact: true })).toHaveCount(0)
  await dialog(ceo).getByLabel("Total budget, in the unit below").fill("1500")
  await dialog(ceo).getByRole("button", { name: "Save" }).click()

  await choose(ceo, "Rename scenario…")
  await expect(dialog(ceo).getByLabel("Name of the scenario")).toHaveValue("Draft")
  await dialog(ceo).getByLabel("Name of the scenario").fill("Lean year")
  await dialog(ceo).getByRole("button", { name: "Rename", exact: true }).click()
  await expect(bar(ceo)).toHaveAccessibleName("Scenario “Lean year” of Growth 2027")
  await expect(ceo.page).toHaveTitle("Lean year, scenario of Growth 2027 – Happierwork")

  const address = new URL(ceo.page.url()).hash
  await bar(ceo).getByRole("button", { name: "Drop…" }).click()
  await expect(dialog(ceo)).toContainText("The plan does not change")
  await expectAccessible(ceo.page, "the question before dropping")
  await dialog(ceo).getByRole("button", { name: "Drop scenario" }).click()
  await expect(ceo.page.locator(".toast").filter({ hasText: "dropped" })).toHaveText(/The scenario “Lean year” was dropped\./)
  await expect(bar(ceo)).toHaveCount(0)
  expect(new URL(ceo.page.url()).hash).not.toBe(address)
  await ceo.page.getByRole("button", { name: /^Plan: / }).click()
  await expect(ceo.page.getByRole("list", { name: "Scenarios of Growth 2027" })).toHaveCount(0)

  // The colleague who has it open sees the local copy, and the way back.
  await expect(async () => {
    await cfo.page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")))
    await expect(cfo.page.getByRole("alert").filter({ hasText: "This scenario was dropped" })).toBeVisible({ timeout: 500 })
  }).toPass()
  await bar(cfo).getByRole("button", { name: "Back to the plan" }).click()
  await expect(bar(cfo)).toHaveCount(0)
  await expect(cfo.row("Office Manager")).toBeVisible()
})

test("a scenario is edited offline; the rest needs a connection", async ({ server, ceo, cfo }) => {
  await tryScenario(ceo, "Offline")
  await openScenario(cfo, "Offline")
  await whileOffline(server, [ceo, cfo], async () => {
    await ceo.set("Office Manager", "budget", "14")
    await cfo.set("Office Manager", "location", "Goa")
    await bar(ceo).getByRole("button", { name: "Compare" }).click()
    await expect(dialog(ceo)).toContainText("You are offline. Connect to the server to compare.")
    await ceo.page.keyboard.press("Escape")
    await bar(ceo).getByRole("button", { name: "Merge into the plan…" }).click()
    await expect(dialog(ceo)).toContainText("You are offline. Connect to the server to merge.")
    await expect(dialog(ceo).getByRole("button", { name: "Merge", exact: true })).toBeDisabled()
    await ceo.page.keyboard.press("Escape")
    await bar(cfo).getByRole("button", { name: "Back to the plan" }).click()
    await choose(cfo, "Try a scenario…")
    await expect(dialog(cfo)).toContainText("You are offline. Connect to the server to create a scenario.")
    await cfo.page.keyboard.press("Escape")
  })
  await expect(ceo.value("Office Manager", "location")).toHaveText("Goa")
  await bar(ceo).getByRole("button", { name: "Compare" }).click()
  const fields = dialog(ceo).getByRole("table", { name: "Changed fields of Office Manager" })
  await expect(fields.getByRole("row", { name: /^Budget/ })).toContainText("14")
  await expect(fields.getByRole("row", { name: /^Location/ })).toContainText("Goa")
})

test("a scenario is updated from the plan, with a conflict", async ({ ceo, cfo }) => {
  await tryScenario(ceo, "Growth")
  await ceo.set("Office Manager", "budget", "14")
  await cfo.set("Office Manager", "budget", "10")
  await cfo.add("Recruiter", "People", "18", "Pune")
  await cfo.remove("QA Engineer")
  for (const user of [ceo, cfo]) await user.expectSync("live", 0)
  await expect(ceo.row("Recruiter")).toHaveCount(0)

  await bar(ceo).getByRole("button", { name: "Compare" }).click()
  await dialog(ceo).getByText("Changed only in the plan since (2)").click()
  await dialog(ceo).getByRole("button", { name: "Update from the plan…" }).click()
  await expect(dialog(ceo).getByRole("status").first()).toHaveText(/^The update changes: 1 position added(, 1 changed)?, 1 deleted\.$/)
  await expect(dialog(ceo)).toContainText("Office Manager: budget")
  await expectAccessible(ceo.page, "the question before an update")
  await dialog(ceo).getByRole("button", { name: "Update the scenario" }).click()
  await expect(ceo.page.locator(".toast").filter({ hasText: "Updated “Growth” from the plan" })).toContainText("1 conflict needs review.")
  await expect(bar(ceo)).toBeVisible()
  await expect(ceo.row("Recruiter")).toBeVisible()
  await expect(ceo.row("QA Engineer")).toHaveCount(0)
  await expect(ceo.page.getByRole("button", { name: /2 conflicting values/ })).toBeVisible()
  await ceo.expectSync("live", 0)

  // The plan is as it was, and nothing is left to update.
  await expect(cfo.value("Office Manager", "budget")).toHaveText("10")
  await bar(ceo).getByRole("button", { name: "Update from the plan…" }).click()
  await expect(dialog(ceo)).toContainText("The scenario has all changes of Growth 2027.")
})

test("a scenario is updated offline from the copy of the plan", async ({ server, ceo, cfo }) => {
  await tryScenario(ceo, "Offline")
  await openScenario(cfo, "Offline")
  await bar(ceo).getByRole("button", { name: "Back to the plan" }).click()
  await whileOffline(server, [ceo, cfo], async () => {
    await ceo.set("Office Manager", "budget", "10")
    await openScenario(ceo, "Offline")
    await expect(ceo.value("Office Manager", "budget")).toHaveText("8")
    await bar(ceo).getByRole("button", { name: "Update from the plan…" }).click()
    await expect(dialog(ceo)).toContainText("The server cannot be asked for its newest changes.")
    await expect(dialog(ceo).getByRole("table", { name: "Changed fields of Office Manager" })).toContainText("10")
    await dialog(ceo).getByRole("button", { name: "Update the scenario" }).click()
    await expect(ceo.value("Office Manager", "budget")).toHaveText("10")
  })
  await expect(cfo.value("Office Manager", "budget")).toHaveText("10")
})

withAccounts("viewers compare a scenario but do not create one", async ({ server, browser }) => {
  const [cfo, board] = [await person(browser, ""), await person(browser, "")]
  await login(cfo, server.url, "cfo")
  await expect(cfo.row("Office Manager")).toBeVisible()
  await tryScenario(cfo, "Board")
  await cfo.set("Office Manager", "budget", "11")
  await cfo.expectSync("live", 0)
  await expect(bar(cfo).getByRole("button", { name: "Drop…" })).toBeVisible()
  await login(board, server.url, "board")
  await board.page.getByRole("button", { name: /^Plan: / }).click()
  await expect(board.page.getByRole("button", { name: "Try a scenario…" })).toHaveCount(0)
  await board.page.getByRole("list", { name: "Scenarios of Growth 2027" }).getByRole("button", { name: "Board" }).click()
  for (const name of ["Update from the plan…", "Merge into the plan…", "Drop…"])
    await expect(bar(board).getByRole("button", { name })).toHaveCount(0)
  await bar(board).getByRole("button", { name: "Compare" }).click()
  await expect(dialog(board).getByRole("table", { name: "Changed fields of Office Manager" })).toContainText("11")
  await expect(dialog(board).getByRole("checkbox")).toHaveCount(0)
  await cfo.context.close()
  await board.context.close()
})
