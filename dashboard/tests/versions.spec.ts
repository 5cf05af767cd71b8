/** Named versions, comparisons of a plan with earlier versions of itself, and the history by sessions. */
import { AxeBuilder } from "@axe-core/playwright"
import { login, test as withAccounts } from "./support/accounts"
import { Client } from "./support/client"
import { command } from "./support/keyboard"
import { expect, type Person, person, test, whileOffline } from "./support/plan"

const since = ({ page }: Person) => page.getByRole("dialog", { name: "What has changed since" })
const history = ({ page }: Person) => page.getByRole("dialog", { name: "History of the plan" })
const toast = ({ page }: Person) => page.locator(".toast").last()
const sessions = (user: Person) => history(user).locator(".session")

async function isClean({ page }: Person, view: string): Promise<void> {
  const { violations } = await new AxeBuilder({ page })
    .withTags(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"])
    .analyze()
  expect(
    violations.map(({ id, nodes }) => ({ id, nodes: nodes.map((node) => `${node.html.slice(0, 200)} ${node.failureSummary}`) })),
    view,
  ).toEqual([])
}

/** Names the plan as it is now. */
async function nameVersion(user: Person, name: string): Promise<void> {
  await command(user, "Name this version")
  const dialog = user.page.getByRole("dialog", { name: "Name this version" })
  await expect(dialog.getByLabel("Name of the version")).toBeFocused()
  await user.page.keyboard.type(name)
  await user.page.keyboard.press("Enter")
  await expect(dialog).toHaveCount(0)
  await expect(toast(user)).toContainText(`Named the version “${name}” for everybody.`)
}

/** Opens the comparison with the version that was named last. */
async function compare(user: Person): Promise<void> {
  await command(user, "what has changed since")
  await expect(since(user)).toBeVisible()
}

test("the plan is compared offline with a named version", async ({ server, ceo, cfo }) => {
  await nameVersion(cfo, "Board meeting")
  await cfo.expectSync("live", 0)
  await ceo.set("Office Manager", "budget", "20")
  await ceo.set("Office Manager", "location", "Delhi")
  await ceo.remove("Payroll Analyst")
  await ceo.add("Recruiter", "People", "18", "Pune")
  await ceo.expectSync("live", 0)
  await expect(cfo.row("Recruiter")).toBeVisible()
  await server.kill()
  await cfo.expectSync("offline")

  await compare(cfo)
  await expect(since(cfo).getByRole("status").first()).toHaveText(
    /^Since “Board meeting”: 1 position added, 1 changed, 1 deleted\. The last change before was made by .+\.$/,
  )
  const fields = since(cfo).getByRole("table", { name: "Changed fields of Office Manager" })
  await expect(fields.getByRole("columnheader")).toHaveText(["Field", "Then", "Now"])
  await expect(fields.getByRole("row", { name: /^Budget/ })).toHaveText(/^Budget\s*8\s*20$/)
  await expect(fields.getByRole("row", { name: /^Location/ })).toHaveText(/^Location\s*Ahmedabad\s*Delhi$/)
  const position = (name: string) => since(cfo).locator(".compare-position").filter({ hasText: name })
  await expect(position("Recruiter")).toContainText("added")
  await expect(position("Payroll Analyst")).toContainText("Department HR · Budget 14 · Location Ahmedabad")
  const sums = since(cfo).getByRole("table", { name: "Budgets by department" })
  await expect(sums.getByRole("row", { name: /^HR/ })).toContainText("−14")
  await expect(sums.getByRole("row", { name: /^Total/ })).toHaveText(/1,254\s*1,270\s*\+16$/)
  const months = since(cfo).getByRole("region", { name: "Cost by month" })
  await expect(months.getByRole("listitem").last()).toHaveText("In the year +16")
  await isClean(cfo, "the comparison with a version")

  // It follows the plan, also without a connection.
  await cfo.page.keyboard.press("Escape")
  await cfo.set("Head of Design", "budget", "40")
  await compare(cfo)
  await expect(sums.getByRole("row", { name: /^Total/ })).toContainText("+18")
})

test("the plan is compared with a date, and a change of the history", async ({ cfo }) => {
  const { page } = cfo
  await cfo.set("Office Manager", "budget", "20")
  await cfo.set("Office Manager", "budget", "21")
  await compare(cfo)
  // The demo plan was imported a moment ago.
  await expect(since(cfo).getByRole("alert")).toContainText("The plan did not exist yet. Its first change is of")
  await since(cfo).getByLabel("Date").fill("")
  await expect(since(cfo).getByRole("alert")).toHaveText("Enter a date.")
  await since(cfo).getByLabel("Date").fill("2999-01-01")
  await expect(since(cfo).getByRole("alert")).toHaveText("This date is in the future.")
  await isClean(cfo, "the choice of a date")
  await page.keyboard.press("Escape")

  await page.getByRole("button", { name: "History", exact: true }).click()
  const entry = history(cfo)
    .locator(".entry")
    .filter({ hasText: /budget 8.*20/ })
  await entry.getByRole("button", { name: /^Compare with now/ }).click()
  await expect(since(cfo).getByRole("status").first()).toContainText(/^Since the change by CFO, .*: 1 position changed\./)
  await expect(since(cfo).getByRole("row", { name: /^Budget/ })).toHaveText(/^Budget\s*20\s*21$/)
  await since(cfo).getByRole("button", { name: "Name this version…" }).click()
  await page.keyboard.type("Draft")
  await page.keyboard.press("Enter")
  await expect(since(cfo).getByRole("button", { name: "Name this version…" })).toHaveCount(0)
  await since(cfo).getByRole("button", { name: "Close" }).last().click()
  await expect(entry).toContainText("Draft")
  await expect(history(cfo).locator(".entry").first()).toContainText("named the version Draft")
  await isClean(cfo, "the history with a named version")
})

test("a comparison with a date shows what came after it", async ({ cfo, server }) => {
  const program = await Client.open(server)
  const id = program.id("Office Manager")
  // Changes of last year, and of an hour ago.
  const at = (time: number) => Math.floor(time / 1_000)
  const lastYear = Date.now() - 365 * 86_400_000
  program.handle.change((doc) => Object.assign(doc.positions[id] ?? {}, { budget: 9 }), { time: at(lastYear), message: "CEO: last year" })
  program.handle.change((doc) => Object.assign(doc.positions[id] ?? {}, { budget: 10 }), { time: at(Date.now() - 3_600_000) })
  await expect(cfo.value("Office Manager", "budget")).toHaveText("10")
  await compare(cfo)
  const day = new Date(lastYear + 2 * 86_400_000).toISOString().slice(0, 10)
  await since(cfo).getByLabel("Date").fill(day)
  await expect(since(cfo).getByRole("row", { name: /^Budget/ })).toHaveText(/^Budget\s*9\s*10$/)
  await since(cfo).getByLabel("Time").fill("23:59")
  await expect(since(cfo).getByRole("status").first()).toContainText("The last change before was made by CEO")
  await program.close()
})

test("names of versions are changed, deleted, and both kept", async ({ server, ceo, cfo }) => {
  await nameVersion(cfo, "Board meeting")
  await cfo.expectSync("live", 0)
  await whileOffline(server, [ceo, cfo], async () => {
    for (const [user, name] of [
      [cfo, "Board, May"],
      [ceo, "Board, June"],
    ] as const) {
      await compare(user)
      await since(user).getByRole("button", { name: "Rename Board meeting" }).click()
      await user.page.keyboard.type(name)
      await user.page.keyboard.press("Enter")
      await expect(since(user).getByRole("combobox")).toContainText(name)
      await user.page.keyboard.press("Escape")
    }
  })
  await cfo.page.getByRole("button", { name: /^Compare the values of Name of the version Board, / }).click()
  await cfo.page.getByRole("button", { name: /(Keep|Use) this: Board, May$/ }).click()
  await compare(ceo)
  await expect(since(ceo).getByRole("combobox")).toContainText("Board, May")
  await since(ceo).getByRole("button", { name: "Delete Board, May" }).click()
  await expect(since(ceo).getByRole("alert")).toHaveText("The name of this version was deleted.")
  await ceo.page.keyboard.press("Escape")
  await ceo.page.keyboard.press("ControlOrMeta+z")
  await expect(toast(ceo)).toContainText("Undid deletion of the version “Board, May”.")
})

test("a version that this copy does not have is not guessed", async ({ cfo, server }) => {
  const program = await Client.open(server)
  program.handle.change((doc) => {
    doc.versions = { other: { name: "Elsewhere", heads: "ab".repeat(32), by: "CEO", at: new Date() } }
  })
  await expect(async () => {
    await compare(cfo)
    await expect(since(cfo).getByRole("alert")).toContainText("This copy of the plan does not have the changes of this version.", {
      timeout: 1_000,
    })
  }).toPass()
  await expect(since(cfo).getByRole("table")).toHaveCount(0)
  await program.close()
})

test("the history is grouped by person and session", async ({ ceo, cfo }) => {
  for (let budget = 1; budget <= 6; budget += 1) await ceo.set("Office Manager", "budget", `${20 + budget}`)
  await expect(cfo.value("Office Manager", "budget")).toHaveText("26")
  await cfo.set("Head of Design", "location", "Goa")
  await cfo.remove("QA Engineer")
  await cfo.page.getByRole("button", { name: "History", exact: true }).click()
  const head = sessions(cfo).first().getByRole("button", { name: /^CFO/, expanded: true })
  await expect(head).toContainText("CFO, 1 position deleted, 1 location")
  await expect(sessions(cfo).first().getByRole("button", { name: "Restore QA Engineer" })).toBeVisible()
  const long = sessions(cfo).nth(1)
  await expect(long.getByRole("button", { name: /^CEO/, expanded: false })).toContainText("CEO, 6 budgets, ")
  await expect(long.locator(".entry")).toHaveCount(0)
  await long.getByRole("button", { name: /^CEO/ }).press("Enter")
  await expect(long.locator(".entry")).toHaveCount(6)
  await isClean(cfo, "the history by sessions")
  await long.getByRole("button", { name: "Restore 23" }).click()
  await expect(ceo.value("Office Manager", "budget")).toHaveText("23")
  // The restored value is an entry of the CFO, and the other session stays as it is.
  await expect(head).toContainText("CFO, 1 budget, 1 position deleted, 1 location")
  await expect(long.locator(".entry")).toHaveCount(6)
})

withAccounts("viewers compare versions, and do not name them", async ({ server, browser }) => {
  const [cfo, board] = [await person(browser, ""), await person(browser, "")]
  await login(cfo, server.url, "cfo")
  await expect(cfo.row("Office Manager")).toBeVisible()
  await nameVersion(cfo, "Board meeting")
  await cfo.set("Office Manager", "budget", "11")
  await cfo.expectSync("live", 0)
  await login(board, server.url, "board")
  await expect(board.value("Office Manager", "budget")).toHaveText("11")
  await board.page.getByRole("button", { name: /^Plan: / }).click()
  await expect(board.page.getByRole("button", { name: "Name this version…" })).toHaveCount(0)
  await board.page.getByRole("button", { name: "What has changed since…" }).click()
  await expect(since(board).getByRole("row", { name: /^Budget/ })).toHaveText(/^Budget\s*8\s*11$/)
  for (const name of [/^Rename/, /^Delete/, /^Name this version/]) await expect(since(board).getByRole("button", { name })).toHaveCount(0)
  await cfo.context.close()
  await board.context.close()
})
