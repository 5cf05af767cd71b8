/** Two people work on one plan at once, one of them offline and with a reload in between: all copies agree, and nothing typed is lost. */
import { readFileSync } from "node:fs"
import Papa from "papaparse"
import { FIELDS } from "../src/plan/fields"
import { Client } from "./support/client"
import { paste } from "./support/clipboard"
import { command, extendDown } from "./support/keyboard"
import { Link } from "./support/link"
import { expect, type Person, person, test as withServer } from "./support/plan"
import type { Row, Server } from "./support/server"

interface Fixtures {
  /** The network of the CFO. */
  link: Link
  cfo: Person
}

const test = withServer.extend<Fixtures>({
  link: async ({ server }, use) => {
    const link = await Link.to(server)
    await use(link)
    await link.close()
  },
  cfo: async ({ browser, link }, use) => {
    const cfo = await person(browser, "CFO")
    await cfo.open(link.url)
    await use(cfo)
    await cfo.context.close()
  },
})

// Rows that are out of view are not in the page.
test.use({ viewport: { width: 1280, height: 1600 } })

const dialog = ({ page }: Person) => page.getByRole("dialog")
const review = ({ page }: Person) => page.getByRole("region", { name: "Needs review" })
const toast = ({ page }: Person) => page.locator(".toast").last()

/** Selects cells of a field, from the given position downwards. */
async function select(user: Person, name: string, field: Parameters<Person["cell"]>[1], rows: number): Promise<void> {
  await user.cell(name, field).focus()
  await extendDown(user, rows - 1)
}

async function fillDown(user: Person, name: string, field: Parameters<Person["cell"]>[1], rows: number): Promise<void> {
  await select(user, name, field, rows)
  await user.page.keyboard.press("ControlOrMeta+d")
  await expect(toast(user)).toContainText(`Filled ${rows - 1} cells.`)
}

async function setBudgets(user: Person, budgets: Record<string, string>): Promise<void> {
  await command(user, "Set department budgets")
  for (const [name, budget] of Object.entries(budgets)) await dialog(user).getByLabel(name, { exact: true }).fill(budget)
  await dialog(user).getByRole("button", { name: "Save" }).click()
  await expect(dialog(user)).toHaveCount(0)
}

async function openComments(user: Person, name: string): Promise<void> {
  const row = user.page
    .getByRole("grid")
    .getByRole("row")
    .filter({ has: user.page.getByRole("gridcell", { name: new RegExp(`^Designation: ${name}(,|$)`) }) })
  await row.locator('[data-cell$="/budget"]').focus()
  await user.page.keyboard.press("Shift+F2")
  await expect(dialog(user).getByLabel("Add a comment")).toBeFocused()
}

async function closeDialog(user: Person): Promise<void> {
  await user.page.keyboard.press("Escape")
  await expect(dialog(user)).toHaveCount(0)
}

/** The edits of the CFO, who is offline. */
async function workOffline(cfo: Person): Promise<void> {
  const { page } = cfo
  await cfo.cell("Office Manager", "budget").focus()
  await paste(page, { text: "20\tDelhi\n40\tAgra\n" })
  await expect(toast(cfo)).toContainText("Pasted 4 cells.")
  await cfo.set("Office Manager", "status", "approved")
  await fillDown(cfo, "Office Manager", "status", 3)
  await openComments(cfo, "UI Developer")
  await page.keyboard.type("From the CFO")
  await page.keyboard.press("ControlOrMeta+Enter")
  await expect(dialog(cfo).getByRole("listitem")).toContainText(["From the CFO"])
  // Neither of these texts has been entered when the page is reloaded.
  await page.keyboard.type("Typed before the reload")
  await closeDialog(cfo)
  await cfo.cell("Account Executive", "location").focus()
  await page.keyboard.type("Typed")
  await page.reload()
  await cfo.expectSync("offline")

  await expect(cfo.value("Head of Design", "location")).toHaveText("Agra")
  await expect(cfo.value("QA Engineer", "status")).toHaveText("Approved")
  await expect(review(cfo)).toContainText("Account Executive: the page was closed while you were entering “Typed” as the location.")
  await page.getByRole("button", { name: "Use Typed as Location of Account Executive" }).click()
  await expect(cfo.value("Account Executive", "location")).toHaveText("Typed")
  await expect(review(cfo)).toHaveCount(0)
  await openComments(cfo, "UI Developer")
  await expect(dialog(cfo).getByLabel("Add a comment")).toHaveValue("Typed before the reload")
  await page.keyboard.press("ControlOrMeta+Enter")
  await expect(dialog(cfo).getByLabel("Add a comment")).toHaveValue("")
  await closeDialog(cfo)

  await select(cfo, "QA Engineer", "budget", 2)
  await command(cfo, "Edit the selected positions")
  await dialog(cfo).getByLabel("Change", { exact: true }).selectOption("Raise budgets by an amount")
  await dialog(cfo)
    .getByLabel(/^Amount/)
    .fill("5")
  await dialog(cfo).getByRole("button", { name: "Change 2 positions" }).click()
  await setBudgets(cfo, { Engineering: "400", HR: "50" })
  await cfo.set("Payroll Analyst", "status", "open")
  await cfo.add("Treasurer", "Finance", "33", "Mumbai")
  await cfo.expectSync("offline")
}

/** The edits of the CEO, who is online. */
async function workOnline(ceo: Person): Promise<void> {
  const { page } = ceo
  await ceo.cell("Office Manager", "budget").focus()
  await paste(page, { text: "21\tGoa\n" })
  await expect(toast(ceo)).toContainText("Pasted 2 cells.")
  await ceo.set("Head of Design", "department", "Design")
  await fillDown(ceo, "Head of Design", "department", 3)
  await ceo.set("Head of Design", "status", "filled")
  await openComments(ceo, "UI Developer")
  await page.keyboard.type("From the CEO")
  await page.keyboard.press("ControlOrMeta+Enter")
  await expect(dialog(ceo).getByRole("listitem")).toContainText(["From the CEO"])
  await closeDialog(ceo)
  await setBudgets(ceo, { HR: "60", Sales: "80" })
  await ceo.remove("Payroll Analyst")
  await ceo.expectSync("live", 0)

  await command(ceo, "Try a scenario")
  await expect(page.getByRole("dialog").getByRole("textbox")).toBeFocused()
  await page.keyboard.type("Lean")
  await page.keyboard.press("Enter")
  await expect(page.getByRole("region", { name: "Scenario “Lean” of Growth 2027" })).toBeVisible()
  await ceo.set("Cloud Architect", "budget", "6")
  await ceo.add("Recruiter", "People", "18", "Pune")
  await ceo.expectSync("live", 0)
  await command(ceo, "Merge this scenario into the plan")
  await dialog(ceo).getByRole("button", { name: "Merge", exact: true }).click()
  await expect(toast(ceo)).toContainText("Merged “Lean”: 1 position added, 1 changed.")
}

/** All rows as the page exports them. */
async function exportedBy(user: Person): Promise<string[][]> {
  const download = user.page.waitForEvent("download")
  await command(user, "Export all as CSV")
  return parse(readFileSync(await (await download).path(), "utf8"))
}

const parse = (csv: string): string[][] => Papa.parse<string[]>(csv.replace(/^\ufeff/, ""), { skipEmptyLines: true }).data

/** These columns of a table with a header, in this order. */
const pick = ([head = [], ...rows]: string[][], columns: readonly string[]): (string | undefined)[][] =>
  rows.map((row) => columns.map((column) => row[head.indexOf(column)]))

async function exportedByServer(server: Server, format: "csv" | "json"): Promise<string> {
  return (await fetch(`${server.url}/api/documents/default/export.${format}`)).text()
}

/** The shown value of a field and those that lost against it, in order. */
const valuesOf = (row: Row | undefined, field: keyof Row): unknown[] => [row?.[field], ...(row?.conflicts?.[field] ?? [])].sort()

test("two people at once, one offline with a reload, lose nothing", async ({ server, ceo, cfo, link }) => {
  test.slow()
  await cfo.waitForServiceWorker()
  for (const user of [ceo, cfo]) await user.expectSync("live", 0)
  link.cut()
  await cfo.expectSync("offline", 0)
  await Promise.all([workOffline(cfo), workOnline(ceo)])
  link.restore()
  await cfo.expectSync("live", 0)
  for (const name of ["Treasurer", "Recruiter"]) for (const user of [ceo, cfo]) await expect(user.row(name)).toBeVisible()

  // Both pages and the server have the same rows.
  const [ours, theirs] = [await exportedBy(cfo), await exportedBy(ceo)]
  expect(ours).toEqual(theirs)
  const columns = ["id", ...FIELDS, "updatedBy", "updatedAt", "createdAt"]
  expect(pick(parse(await exportedByServer(server, "csv")), columns)).toEqual(pick(ours, columns))

  const exported = JSON.parse(await exportedByServer(server, "json")) as { positions: Row[] }
  const find = (name: string) => exported.positions.find(({ designation }) => designation === name)
  expect(exported.positions).toHaveLength(61)
  expect(valuesOf(find("Office Manager"), "budget")).toEqual([20, 21])
  expect(valuesOf(find("Office Manager"), "location")).toEqual(["Delhi", "Goa"])
  expect(find("Office Manager")).toMatchObject({ status: "approved", department: "Other" })
  expect(find("Head of Design")).toMatchObject({ budget: 40, location: "Agra", department: "Design" })
  expect(valuesOf(find("Head of Design"), "status" as keyof Row)).toEqual(["approved", "filled"])
  expect(find("QA Engineer")).toMatchObject({ budget: 14, department: "Design", status: "approved" })
  expect(find("Account Executive")).toMatchObject({ budget: 27, department: "Design", location: "Typed" })
  expect(find("Cloud Architect")).toMatchObject({ budget: 6 })
  expect(find("Payroll Analyst")).toBeUndefined()

  const program = await Client.open(server)
  const { departmentBudgets } = program.handle.doc() as unknown as { departmentBudgets: Record<string, number> }
  expect(departmentBudgets).toMatchObject({ Engineering: 400, Sales: 80 })
  expect([50, 60]).toContain(departmentBudgets.HR)
  await program.close()

  for (const user of [ceo, cfo]) {
    const conflicts = ["Budget of Office Manager", "Location of Office Manager", "Status of Head of Design", "Budget of HR"]
    const showAll = user.page.getByRole("button", { name: /^Show all \d+$/ })
    if (await showAll.isVisible()) await showAll.click()
    for (const name of conflicts) await expect(review(user).getByRole("button", { name: `Compare the values of ${name}` })).toBeVisible()
    await expect(review(user)).toContainText("Payroll Analyst: CFO set status to Open")
    await openComments(user, "UI Developer")
    const comments = dialog(user).getByRole("list", { name: "Comments" }).getByRole("listitem")
    await expect(comments).toHaveCount(3)
    for (const text of ["From the CFO", "Typed before the reload", "From the CEO"])
      await expect(comments.filter({ hasText: text })).toHaveCount(1)
    await closeDialog(user)
  }
})
