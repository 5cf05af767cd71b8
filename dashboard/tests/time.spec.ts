/** Status, start and end of positions, the costs of the year, and approvals. */
import { once } from "node:events"
import { WebSocket } from "ws"
import { Client } from "./support/client"
import { paste } from "./support/clipboard"
import { expect, type Person, person, test, whileOffline } from "./support/plan"
import { Server } from "./support/server"

const toast = ({ page }: Person) => page.locator(".toast").last()
const year = ({ page }: Person) => page.getByRole("region", { name: "Cost by month" })
/** A figure of the year, without its note. */
const figure = (user: Person, label: string) =>
  year(user)
    .locator("dl > div")
    .filter({ has: user.page.getByText(label, { exact: true }) })
const chart = (user: Person) => year(user).getByRole("img")

/** Four positions of 12 lakh each, in a year from April 2027. */
const ROWS = ["Cook", "Host", "Waiter", "Chef"].map((designation, at) => ({
  id: `row${at}`,
  designation,
  department: at < 2 ? "Kitchen" : "Hall",
  budget: "12",
  location: "Pune",
  lastUpdated: ["Admin", `Sep ${18 - at}, 2024 12:07 AM`],
}))

const yearTest = test.extend<{ server: Server }>({
  // biome-ignore lint/correctness/noEmptyPattern: Playwright reads what a fixture needs from its first parameter
  server: async ({}, use) => {
    const server = await Server.start({ rows: ROWS })
    const client = await Client.open(server)
    client.handle.change((doc) => {
      doc.yearStart = "2027-04"
    })
    await expect.poll(async () => JSON.stringify(await (await fetch(`${server.url}/api/documents/default`)).json())).toContain("2027-04")
    await client.close()
    await use(server)
    await server.close()
  },
})

yearTest("statuses and months are entered with the keyboard, and the figures follow", async ({ ceo, cfo }) => {
  const { page } = cfo
  await expect(year(cfo)).toHaveCount(0)
  await cfo.cell("Cook", "status").focus()
  // The first letter opens the editor and suffices.
  await page.keyboard.press("a")
  const editor = page.getByRole("combobox", { name: "Status of Cook" })
  await expect(editor).toBeFocused()
  await expect(page.getByRole("option", { name: "Approved" })).toHaveAttribute("aria-selected", "true")
  await page.keyboard.press("Tab")
  await expect(cfo.value("Cook", "status")).toHaveText("Approved")
  // The next cell is being edited.
  await page.keyboard.type("Jun 2027")
  await page.keyboard.press("Enter")
  await expect(ceo.value("Cook", "status")).toHaveText("Approved")
  await expect(ceo.value("Cook", "start")).toHaveText("Jun 2027")
  await expect(figure(ceo, "This year")).toContainText("₹46 lakh")
  await expect(figure(ceo, "Run rate")).toContainText("₹48 lakh")
  await expect(figure(ceo, "Run rate")).toContainText("yearly cost of positions active in Mar 2028")
  await expect(chart(ceo)).toHaveAccessibleName(
    "Cost by month from Apr 2027 to Mar 2028: least 3 ₹ lakh in Apr 2027, most 4 ₹ lakh in Jun 2027",
  )

  // Arrow keys choose, Escape keeps the value.
  await cfo.cell("Host", "status").focus()
  await page.keyboard.press("Enter")
  await page.keyboard.press("ArrowDown")
  await page.keyboard.press("ArrowDown")
  await expect(page.getByRole("combobox", { name: "Status of Host" })).toHaveValue("Approved")
  await page.keyboard.press("Escape")
  await expect(cfo.cell("Host", "status")).toBeFocused()
  await expect(cfo.value("Host", "status")).toHaveText("")
  await page.keyboard.type("fil")
  await page.keyboard.press("Enter")
  await expect(ceo.value("Host", "status")).toHaveText("Filled")
  await expect(figure(ceo, "Left after approved")).toContainText("₹1,976 lakh")
  await expect(figure(ceo, "Left after all")).toContainText("₹1,952 lakh")

  // A text that is neither stays in the editor with the reason.
  await cfo.cell("Host", "end").focus()
  await page.keyboard.type("soon")
  await page.keyboard.press("Enter")
  await expect(page.getByRole("alert").filter({ hasText: "not a month" })).toHaveText(
    "“soon” is not a month. Enter a month, such as 2027-06 or Jun 2027.",
  )
  await page.keyboard.press("ControlOrMeta+a")
  await page.keyboard.type("9/2027")
  await page.keyboard.press("PageDown")
  await page.keyboard.press("ArrowUp")
  await page.keyboard.press("Enter")
  await expect(ceo.value("Host", "end")).toHaveText("Aug 2028")
  await cfo.set("Host", "end", "September 2027")
  await expect(figure(ceo, "This year")).toContainText("₹40 lakh")
  await expect(figure(ceo, "Run rate")).toContainText("₹36 lakh")

  // Undo goes back over all of them, to no value.
  for (const _ of Array(5)) {
    await page.keyboard.press("ControlOrMeta+z")
    await expect(toast(cfo)).toContainText(/^Undid edit of/)
  }
  await expect(ceo.value("Cook", "status")).toHaveText("")
  await expect(ceo.value("Cook", "start")).toHaveText("")
  await expect(year(ceo)).toHaveCount(0)
})

yearTest("statuses and months are pasted, filled and cleared", async ({ ceo, cfo, server }) => {
  const { page } = cfo
  await cfo.cell("Cook", "status").click()
  await paste(page, { text: "Approved\t2027-06\t\nopen\t15/10/2027\t\nhired\t05/06/2027\tlater\nfilled\t\tMar-27\n" })
  await expect(toast(cfo)).toContainText("3 values were refused, the first: Status of “Waiter”: “hired” is not a status.")
  await page.getByRole("button", { name: "Show all 3" }).click()
  await expect(page.getByRole("dialog")).toContainText("“05/06/2027” may be 2027-05 or 2027-06.")
  await page.keyboard.press("Escape")
  await expect(ceo.value("Host", "start")).toHaveText("Oct 2027")
  await expect(ceo.value("Chef", "end")).toHaveText("Mar 2027")
  await expect(ceo.value("Waiter", "status")).toHaveText("")
  await expect(figure(ceo, "This year")).toContainText("₹28 lakh")
  await expect(figure(ceo, "Left after approved")).toContainText("₹1,964 lakh")

  // The chart stacks by status or department; the table below it has the numbers.
  await expect(year(ceo).getByRole("list", { name: "Colours by status" }).getByRole("listitem")).toHaveText([
    "Approved 10",
    "Open 6",
    "Filled 0",
    "No status 12",
  ])
  await year(ceo).getByLabel("Stacked by").selectOption("department")
  await expect(year(ceo).getByRole("list", { name: "Colours by department" }).getByRole("listitem")).toHaveText(["Kitchen 16", "Hall 12"])
  await year(ceo).getByText("Numbers by month").click()
  await expect(year(ceo).getByRole("row", { name: /^Oct 2027/ })).toHaveText("Oct 2027213")
  // The charts by group show the same sums.
  await ceo.page.getByLabel("Sums by department").selectOption("This year")
  await expect(ceo.page.getByRole("button", { name: /^Kitchen/ })).toContainText("16")

  // All figures follow the filter and say so.
  await ceo.page.getByLabel("Status", { exact: true }).selectOption("Open")
  await expect(figure(ceo, "This year")).toContainText("₹6 lakh")
  await expect(year(ceo).getByText("Counts only the 1 of 4 positions shown")).toBeVisible()
  await ceo.page.getByRole("searchbox").fill("oct 2027")
  await expect(ceo.row("Host")).toBeVisible()

  await cfo.cell("Cook", "status").click()
  await cfo.cell("Chef", "status").click({ modifiers: ["Shift"] })
  await page.keyboard.press("ControlOrMeta+d")
  await expect(toast(cfo)).toContainText("Filled 3 cells.")
  await expect(cfo.value("Chef", "status")).toHaveText("Approved")
  await page.keyboard.press("Delete")
  await expect(toast(cfo)).toContainText("Cleared 4 cells.")
  await cfo.expectSync("live", 0)
  const client = await Client.open(server)
  await expect.poll(() => "status" in (client.row(client.id("Cook")) ?? { status: 1 })).toBe(false)
  await client.close()
})

yearTest("a month is picked with the mouse, and a wrong order is marked", async ({ cfo, ceo }) => {
  const { page } = cfo
  await cfo.set("Cook", "start", "2027-09")
  await cfo.cell("Cook", "end").dblclick()
  const months = page.getByRole("group", { name: "Months for end" })
  while (!(await months.getByText("2027", { exact: true }).isVisible()))
    await months
      .getByRole("button", { name: Number(await months.locator("span").textContent()) < 2027 ? "Next year" : "Previous year" })
      .click()
  await months.getByRole("button", { name: "Jun 2027" }).click()
  await expect(cfo.cell("Cook", "end")).toBeFocused()
  await expect(ceo.value("Cook", "end")).toHaveText("Jun 2027")
  await expect(ceo.cell("Cook", "end")).toHaveAccessibleName("End: Jun 2027, ends before it starts, costs nothing")
  await expect(year(ceo).getByText("1 position ends before it starts and costs nothing.")).toBeVisible()
  await expect(figure(ceo, "This year")).toContainText("₹36 lakh")
  await cfo.cell("Cook", "status").dblclick()
  await page.getByRole("option", { name: "Open" }).click()
  await expect(ceo.value("Cook", "status")).toHaveText("Open")
})

test("values of other programs that are not valid are kept and marked", async ({ server, cfo }) => {
  const client = await Client.open(server)
  const id = client.id("Office Manager")
  client.handle.change((doc) => {
    Object.assign(doc.positions[id] as object, { status: "frozen", start: "June" })
  })
  await expect(cfo.cell("Office Manager", "status")).toHaveAccessibleName("Status: frozen, not a status, counted as none")
  await expect(cfo.cell("Office Manager", "start")).toHaveAccessibleName("Start: June, not a month, counted as none")
  const review = cfo.page.getByRole("region", { name: "Needs review" })
  await expect(review).toContainText("“frozen” is not valid as the status")
  await expect(year(cfo).getByText("1 position has a start or end that is not a month and counts as not set.")).toBeVisible()
  await cfo.set("Office Manager", "budget", "9")
  await cfo.cell("Office Manager", "status").focus()
  await cfo.page.keyboard.press("F2")
  await cfo.page.keyboard.press("Enter")
  await cfo.expectSync("live", 0)
  await expect.poll(() => client.row(id)).toMatchObject({ budget: 9, status: "frozen", start: "June" })
  await cfo.cell("Office Manager", "status").focus()
  await cfo.page.keyboard.press("Delete")
  await expect.poll(() => "status" in (client.row(id) ?? { status: 1 })).toBe(false)
  await cfo.undo()
  await expect.poll(() => client.row(id)?.status).toBe("frozen")
  await client.close()
})

test("legacy sockets do not notice the fields", async ({ server, cfo }) => {
  const socket = new WebSocket(`ws://127.0.0.1:${server.port}/ws/dashboard/`)
  const frames: unknown[] = []
  socket.on("message", (data) => frames.push(JSON.parse(String(data))))
  await once(socket, "open")
  await cfo.set("Office Manager", "status", "approved")
  await cfo.set("Office Manager", "start", "2027-06")
  await cfo.set("Office Manager", "budget", "77")
  await expect.poll(() => JSON.stringify(frames)).toContain("77")
  const entries = frames.flatMap((frame) => (frame as { entry?: object }).entry ?? [])
  expect(entries.length).toBeGreaterThan(0)
  for (const entry of entries)
    expect(Object.keys(entry).sort()).toEqual(["budget", "department", "designation", "id", "lastUpdated", "location"])
  expect(JSON.stringify(frames)).not.toMatch(/approved|2027-06/i)
  socket.close()
})

test("an approval records the budget, and a later change is marked", async ({ server, cfo, ceo }) => {
  await ceo.set("Office Manager", "status", "Approved")
  const mark = cfo.row("Office Manager").getByRole("button", { name: /changed since approval/ })
  await expect(cfo.value("Office Manager", "status")).toHaveText("Approved")
  await expect(mark).toHaveCount(0)
  await cfo.set("Office Manager", "budget", "10")
  await expect(mark).toHaveAccessibleName(/^Budget of Office Manager changed since approval: 8 approved by CEO/)
  await cfo.set("Office Manager", "status", "Open")
  await mark.click()
  const history = cfo.page.getByRole("dialog", { name: "History of Office Manager" })
  const approval = history.getByRole("region", { name: "Approval" })
  await expect(approval).toContainText("Approved: ₹8 lakh by CEO")
  await expect(approval).toContainText("The budget has changed since: it is now ₹10 lakh.")
  await expect(history.locator(".entry").filter({ hasText: "approved budget" })).toContainText("8")
  await approval.getByRole("button", { name: "Approve ₹10 lakh" }).click()
  await expect(approval).toContainText("Approved: ₹10 lakh by CFO")
  await cfo.page.keyboard.press("Escape")
  await expect(mark).toHaveCount(0)
  await expect(ceo.value("Office Manager", "status")).toHaveText("Open")
  await cfo.page.keyboard.press("ControlOrMeta+z")
  await expect(mark).toBeVisible()
  const client = await Client.open(server)
  await expect.poll(() => client.row(client.id("Office Manager"))).toMatchObject({ approvedBudget: 8, approvedBy: "CEO", status: "open" })
  await client.close()
})

test("statuses set offline by two people are a conflict to settle", async ({ server, ceo, cfo }) => {
  await whileOffline(server, [ceo, cfo], async () => {
    await ceo.set("Office Manager", "status", "Approved")
    await cfo.set("Office Manager", "status", "Filled")
  })
  await ceo.page.getByRole("button", { name: /^Status of Office Manager: 2 conflicting values/ }).click()
  const dialog = ceo.page.getByRole("dialog", { name: "Status of Office Manager" })
  await dialog.getByRole("button", { name: /this: Filled$/ }).click()
  for (const user of [ceo, cfo]) {
    await expect(user.value("Office Manager", "status")).toHaveText("Filled")
    await expect(user.page.getByText(/needs? review/)).toHaveCount(0)
  }
})

test("the year of the plan is a setting", async ({ ceo, cfo }) => {
  await cfo.set("Office Manager", "start", "2030-06")
  const { page } = cfo
  await year(cfo).getByRole("button", { name: "Change the year" }).click()
  const dialog = page.getByRole("dialog", { name: "Plan settings" })
  await dialog.getByLabel("First month of the year").fill("spring")
  await dialog.getByRole("button", { name: "Save" }).click()
  await expect(dialog.getByRole("alert")).toHaveText(
    "First month of the year: “spring” is not a month. Enter a month, such as 2027-06 or Jun 2027.",
  )
  await dialog.getByLabel("First month of the year").fill("Apr 2030")
  await dialog.getByRole("button", { name: "Save" }).click()
  await expect(year(ceo)).toContainText("Apr 2030 – Mar 2031")
  await ceo.page.getByRole("button", { name: "History", exact: true }).click()
  await expect(ceo.page.locator(".entry").first()).toContainText("year start of the plan (empty) →became Apr 2030")
})

test("a new position has a status and months", async ({ cfo, ceo }) => {
  const form = cfo.page.getByRole("form", { name: "New position" })
  await cfo.page.getByRole("button", { name: "Add position" }).click()
  await form.getByLabel("Designation").fill("Stoker")
  await form.getByLabel("Status").selectOption("Open")
  await form.getByLabel("Start").fill("someday")
  await form.getByRole("button", { name: "Add", exact: true }).click()
  await expect(form.getByText("“someday” is not a month.")).toBeVisible()
  await form.getByLabel("Start").fill("6/2027")
  await form.getByRole("button", { name: "Add", exact: true }).click()
  await expect(ceo.value("Stoker", "status")).toHaveText("Open")
  await expect(ceo.value("Stoker", "start")).toHaveText("Jun 2027")
  await expect(ceo.value("Stoker", "end")).toHaveText("")
})

test("a phone shows and changes all fields by touch", async ({ browser, server }) => {
  const ceo = await person(browser, "CEO", { viewport: { width: 360, height: 780 }, hasTouch: true, isMobile: true })
  await ceo.open(server.url)
  await ceo.cell("Office Manager", "status").tap()
  await ceo.page.getByRole("option", { name: "Approved" }).tap()
  await expect(ceo.value("Office Manager", "status")).toHaveText("Approved")
  await ceo.cell("Office Manager", "start").tap()
  await ceo.page.getByRole("group", { name: "Months for start" }).getByRole("button", { name: /^Jun/ }).tap()
  await expect(ceo.value("Office Manager", "start")).toHaveText(/^Jun \d{4}$/)
  await expect(year(ceo)).toBeHidden()
  await ceo.page.getByRole("button", { name: "Charts" }).tap()
  await expect(year(ceo)).toBeVisible()
  expect(await ceo.page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360)
  await ceo.context.close()
})
