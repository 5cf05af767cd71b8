/** Groups of the list, and budgets of departments. */
import { Client } from "./support/client"
import { paste } from "./support/clipboard"
import { LARGE_PLAN } from "./support/large"
import { expect, type Person, person, test, whileOffline } from "./support/plan"
import { Server } from "./support/server"

/** Newest first. Two spellings of one department. */
const ROWS = [
  { id: "a", designation: "Cook", department: "Kitchen", budget: "10", location: "Pune", lastUpdated: ["Admin", "Sep 18, 2024 12:09 AM"] },
  { id: "b", designation: "Waiter", department: "Service", budget: "4", location: "Goa", lastUpdated: ["Admin", "Sep 18, 2024 12:08 AM"] },
  { id: "c", designation: "Chef", department: "kitchen", budget: "20", location: "Goa", lastUpdated: ["Admin", "Sep 18, 2024 12:07 AM"] },
  { id: "d", designation: "Host", department: "Service", budget: "5", location: "Pune", lastUpdated: ["Admin", "Sep 18, 2024 12:06 AM"] },
  { id: "e", designation: "Clerk", department: "", budget: "3", location: "Pune", lastUpdated: ["Admin", "Sep 18, 2024 12:05 AM"] },
]

const base = test.extend<{ server: Server }>({
  // biome-ignore lint/correctness/noEmptyPattern: Playwright reads what a fixture needs from its first parameter
  server: async ({}, use) => {
    const server = await Server.start({ rows: ROWS })
    await use(server)
    await server.close()
  },
})

const heads = ({ page }: Person) => page.locator(".group-row")
const head = (user: Person, name: string) => heads(user).filter({ hasText: name })
const headButton = (user: Person, name: string) => head(user, name).getByRole("button")
const groupBy = ({ page }: Person, field: string) => page.getByRole("combobox", { name: "Group by" }).selectOption(field)
/** The lines of the grid: heads in capitals, and designations. */
const lines = ({ page }: Person) =>
  page
    .locator("[data-row]:not(.new-row)")
    .evaluateAll((rows) =>
      rows
        .toSorted((one, other) => Number(one.ariaRowIndex) - Number(other.ariaRowIndex))
        .map(
          (row) =>
            row.querySelector(".group-name")?.textContent?.toUpperCase() ?? row.querySelector(".cell-designation .value")?.textContent,
        ),
    )

base("the list is grouped, with sums, and groups are collapsed by keyboard", async ({ cfo, ceo }) => {
  const { page } = cfo
  await groupBy(cfo, "department")
  await expect.poll(() => lines(cfo)).toEqual(["KITCHEN", "Cook", "Chef", "SERVICE", "Waiter", "Host", "NO DEPARTMENT", "Clerk"])
  await expect(head(cfo, "Kitchen")).toContainText("2 positions")
  await expect(head(cfo, "Kitchen").locator(".group-sum")).toHaveText("30")

  // Arrow keys pass over the heads of groups; Left and Right collapse and expand them.
  await cfo.cell("Chef", "budget").focus()
  await page.keyboard.press("ArrowDown")
  await expect(headButton(cfo, "Service")).toBeFocused()
  await page.keyboard.press("ArrowLeft")
  await expect(headButton(cfo, "Service")).toHaveAttribute("aria-expanded", "false")
  await expect.poll(() => lines(cfo)).toEqual(["KITCHEN", "Cook", "Chef", "SERVICE", "NO DEPARTMENT", "Clerk"])
  await page.keyboard.press("ArrowRight")
  await expect(headButton(cfo, "Service")).toHaveAttribute("aria-expanded", "true")
  await page.keyboard.press("Enter")
  await expect(headButton(cfo, "Service")).toHaveAttribute("aria-expanded", "false")
  await page.keyboard.press(" ")
  await expect(headButton(cfo, "Service")).toHaveAttribute("aria-expanded", "true")
  await page.keyboard.press("ArrowDown")
  await expect(cfo.cell("Waiter", "budget")).toBeFocused()
  await page.keyboard.press("ArrowUp")
  await page.keyboard.press("Shift+Space")
  await expect(page.getByText("2 selected, 9 ₹ lakh")).toBeVisible()
  await page.getByRole("button", { name: "Clear selection" }).click()

  await page.getByRole("button", { name: "Collapse all groups" }).click()
  await expect.poll(() => lines(cfo)).toEqual(["KITCHEN", "SERVICE", "NO DEPARTMENT"])
  // Sums of collapsed groups follow the others.
  await ceo.set("Waiter", "budget", "7.5")
  await expect(head(cfo, "Service").locator(".group-sum")).toHaveText("12.5")
  await headButton(cfo, "Service").click()
  await expect(cfo.value("Waiter", "budget")).toHaveText("7.5")
  await page.getByRole("button", { name: "Collapse all groups" }).click()
  await page.getByRole("button", { name: "Expand all groups" }).click()
  await expect(cfo.row("Clerk")).toBeVisible()
  // The numbers of rows leave out the heads.
  await expect(cfo.row("Host").locator(".row-number")).toHaveText("4")
})

base("ranges, paste and fill pass over the heads of groups", async ({ cfo, ceo, server }) => {
  const { page } = cfo
  await groupBy(cfo, "department")
  await cfo.cell("Chef", "location").click()
  await cfo.cell("Waiter", "location").click({ modifiers: ["Shift"] })
  await expect(page.getByRole("gridcell", { selected: true })).toHaveCount(2)
  await expect(page.getByText("2 cells")).toBeVisible()
  // A paste over the boundary continues with the next position.
  await cfo.cell("Cook", "location").click()
  await paste(page, { text: "Delhi\nAgra\nSurat\nKochi" })
  for (const [name, location] of [
    ["Cook", "Delhi"],
    ["Chef", "Agra"],
    ["Waiter", "Surat"],
    ["Host", "Kochi"],
  ] as const)
    await expect(ceo.value(name, "location")).toHaveText(location)
  expect(await server.rows()).toHaveLength(5)

  await page.keyboard.press("Escape")
  await cfo.cell("Chef", "budget").click()
  await page.keyboard.press("Shift+ArrowDown")
  await page.keyboard.press("ControlOrMeta+d")
  await expect(ceo.value("Waiter", "budget")).toHaveText("20")
  await page.keyboard.press("ControlOrMeta+a")
  await expect(page.getByText(/^35 cells/)).toBeVisible()
  // By dragging over a head.
  await page.keyboard.press("Escape")
  await cfo.cell("Chef", "budget").hover()
  await page.mouse.down()
  await cfo.cell("Waiter", "budget").hover()
  await page.mouse.up()
  await expect(page.getByText("2 cells, 40 ₹ lakh")).toBeVisible()
  // Rows of collapsed groups are not pasted onto.
  await headButton(cfo, "Service").click()
  await cfo.cell("Chef", "budget").click()
  await paste(page, { text: "1\n2" })
  await expect(ceo.value("Chef", "budget")).toHaveText("1")
  await expect(ceo.value("Clerk", "budget")).toHaveText("2")
  await expect(ceo.value("Waiter", "budget")).toHaveText("20")
})

base("a row that moves into another group stays focused and in view", async ({ cfo, ceo }) => {
  const { page } = cfo
  await groupBy(cfo, "department")
  await headButton(cfo, "Service").click()
  await cfo.set("Cook", "department", "Service")
  await expect(cfo.cell("Cook", "department")).toBeFocused()
  await expect(cfo.cell("Cook", "department")).toBeInViewport()
  await expect.poll(() => lines(cfo)).toEqual(["KITCHEN", "Chef", "SERVICE", "Cook", "Waiter", "Host", "NO DEPARTMENT", "Clerk"])
  // Tab goes on in the row.
  await page.keyboard.type("Bar")
  await page.keyboard.press("Tab")
  await page.keyboard.type("12")
  await page.keyboard.press("Enter")
  await expect(ceo.value("Cook", "department")).toHaveText("Bar")
  await expect(ceo.value("Cook", "budget")).toHaveText("12")

  // Somebody else moves the row that is being edited into a collapsed group.
  await headButton(cfo, "Service").click()
  await cfo.cell("Clerk", "designation").focus()
  await page.keyboard.press("F2")
  await page.keyboard.press("End")
  await page.keyboard.type(" II")
  await ceo.set("Clerk", "department", "Service")
  await expect.poll(() => lines(cfo)).toContain("SERVICE")
  await expect(head(cfo, "Service")).toContainText("3 positions")
  await expect(page.getByRole("textbox", { name: "Designation of Clerk" })).toBeFocused()
  await page.keyboard.press("Enter")
  await expect(ceo.row("Clerk II")).toBeVisible()
})

base("conflicts and other users are shown between groups", async ({ server, cfo, ceo }) => {
  await groupBy(cfo, "department")
  await whileOffline(server, [ceo, cfo], async () => {
    await cfo.set("Chef", "budget", "21")
    await ceo.set("Chef", "budget", "22")
  })
  await expect(cfo.cell("Chef", "budget").getByRole("button", { name: /conflicting values/ })).toBeVisible()
  await ceo.cell("Host", "location").focus()
  await expect(cfo.cell("Host", "location").locator(".flag")).toHaveText("CEO")
})

base("bars, sums and groups follow the filter and say so", async ({ cfo }) => {
  const { page } = cfo
  const summary = page.getByRole("region", { name: "Budget", exact: true })
  await groupBy(cfo, "department")
  await expect(summary.getByRole("button", { name: /^Kitchen/ })).toHaveText(/Kitchen 2 positions\s*30\s*71 %/)
  await page.getByRole("combobox", { name: "Location" }).selectOption("Pune")
  await expect(summary).toContainText("Sum of shown")
  await expect(summary).toContainText("3 of 5 positions shown")
  await expect(summary.getByText("3 of 5 positions", { exact: false }).first()).toBeVisible()
  await expect(summary.getByRole("button", { name: /^Kitchen/ })).toHaveText(/Kitchen 1 position\s*10\s*56 %/)
  await expect(head(cfo, "Kitchen")).toContainText("1 position")
  await expect(head(cfo, "Kitchen").locator(".group-sum")).toHaveText("10")
})

base("the main figures stay in sight while scrolling", async ({ browser }) => {
  const server = await Server.start()
  const cfo = await person(browser, "CFO")
  await cfo.open(server.url)
  const line = cfo.page.getByRole("region", { name: "Budget figures" })
  await expect(line).toHaveCount(0)
  await cfo.page.mouse.wheel(0, 900)
  await expect(line).toContainText("Used ₹1,254 lakh of ₹2,000 lakh")
  await expect(line).toContainText("Left ₹746 lakh")
  // The head of the list is below it.
  await expect(cfo.page.locator(".grid-head")).toBeInViewport()
  const [top, bottom] = await Promise.all([cfo.page.locator(".grid-head").boundingBox(), line.boundingBox()])
  expect(top?.y).toBeGreaterThanOrEqual((bottom?.y ?? 0) + (bottom?.height ?? 0))
  await cfo.page.evaluate(() => window.scrollTo(0, 0))
  await expect(line).toHaveCount(0)
  await cfo.context.close()
  await server.close()
})

async function setBudgets(user: Person, budgets: Record<string, string>): Promise<void> {
  await user.page.getByRole("button", { name: "Set budgets" }).click()
  const dialog = user.page.getByRole("dialog", { name: "Department budgets" })
  for (const [name, budget] of Object.entries(budgets)) await dialog.getByLabel(name, { exact: true }).fill(budget)
  await dialog.getByRole("button", { name: "Save" }).click()
}

base("department budgets set offline by two people are both kept", async ({ server, cfo, ceo }) => {
  await whileOffline(server, [ceo, cfo], async () => {
    await setBudgets(cfo, { Kitchen: "25", Service: "0.5 crore" })
    await setBudgets(ceo, { Service: "8" })
  })
  for (const user of [cfo, ceo]) {
    const chart = user.page.locator(".chart").filter({ hasText: "By department" })
    await expect(chart.getByRole("button", { name: /^Kitchen/ })).toContainText("of 25, 5 over budget")
    // Both values of one department are kept.
    await expect(chart.getByRole("button", { name: /^Service/ })).toContainText("conflicting budgets")
  }
  const compare = cfo.page.getByRole("button", { name: "Compare the values of Budget of Service" })
  await compare.click()
  await cfo.page.getByRole("button", { name: /(Keep|Use) this: 8$/ }).click()
  await expect(compare).toHaveCount(0)
  const service = ceo.page
    .locator(".chart")
    .filter({ hasText: "By department" })
    .getByRole("button", { name: /^Service/ })
  await expect(service).toContainText("of 8, 1 over budget")
  await expect(service).not.toContainText("conflicting")

  // Other programs see one map, and undo takes back only one's own change.
  const program = await Client.open(server)
  expect(JSON.parse(JSON.stringify(program.handle.doc().departmentBudgets))).toEqual({ Kitchen: 25, Service: 8 })
  await groupBy(cfo, "department")
  await expect(head(cfo, "Kitchen")).toContainText("of 25, 5 over budget")
  await setBudgets(cfo, { Kitchen: "" })
  await expect(cfo.page.locator(".toast").last()).toContainText("Changed the budget of “Kitchen”.")
  await expect.poll(() => Object.keys(program.handle.doc().departmentBudgets as object)).toEqual(["Service"])
  await cfo.undo()
  await expect.poll(() => (program.handle.doc().departmentBudgets as Record<string, unknown>).Kitchen).toBe(25)
  await program.close()
})

base("a budget that is no amount is refused with the reason", async ({ cfo, server }) => {
  const { page } = cfo
  const program = await Client.open(server)
  program.handle.change((doc) => {
    doc.departmentBudgets = { Kitchen: "a lot", Legal: 3 }
  })
  const chart = page.locator(".chart").filter({ hasText: "By department" })
  await expect(chart.getByRole("button", { name: /^Kitchen/ })).toContainText("budget “a lot” is not a number")
  await expect(chart.getByRole("button", { name: /^Legal/ })).toContainText("of 3, 3 left")
  await page.getByRole("button", { name: "Set budgets" }).click()
  const dialog = page.getByRole("dialog", { name: "Department budgets" })
  await dialog.getByLabel("Service", { exact: true }).fill("$5")
  await dialog.getByRole("button", { name: "Save" }).click()
  await expect(dialog.getByRole("alert")).toHaveText("A budget cannot be saved.")
  await expect(dialog.getByLabel("Service", { exact: true })).toBeFocused()
  await dialog.getByLabel("Service", { exact: true }).fill("=4*2")
  await dialog.getByLabel("Another department").fill("Security")
  await dialog.getByLabel("Budget of the other department").fill("6")
  await dialog.getByRole("button", { name: "Save" }).click()
  await expect
    .poll(() => JSON.parse(JSON.stringify(program.handle.doc().departmentBudgets)))
    .toEqual({ Kitchen: "a lot", Legal: 3, Service: 8, Security: 6 })
  await program.close()
})

test("5,000 grouped positions are edited and collapsed", async ({ browser }) => {
  test.slow()
  const server = await Server.start({ rows: LARGE_PLAN })
  const cfo = await person(browser, "CFO")
  await cfo.open(server.url)
  await groupBy(cfo, "department")
  await expect(head(cfo, "Engineering")).toContainText("1,000 positions")
  const { page } = cfo
  await page
    .getByRole("gridcell", { name: /^Location/ })
    .first()
    .click()
  await page.keyboard.press("ControlOrMeta+End")
  await expect(page.locator(":focus")).toHaveAttribute("data-cell", /\/actions$/)
  expect(await page.locator("[data-row]").count()).toBeLessThan(100)
  await page.keyboard.press("ControlOrMeta+Home")
  await expect(heads(cfo).first().getByRole("checkbox")).toBeFocused()
  await page.getByRole("button", { name: "Collapse all groups" }).click()
  await expect(page.locator("[data-row]:not(.new-row)")).toHaveCount(5)
  await headButton(cfo, "HR").click()
  await page
    .getByRole("gridcell", { name: /^Budget/ })
    .first()
    .focus()
  await page.keyboard.type("999")
  await page.keyboard.press("Enter")
  await expect.poll(async () => (await server.rows()).filter(({ budget }) => budget === 999).length).toBe(1)
  await cfo.context.close()
  await server.close()
})
