/** The list as a spreadsheet: ranges, clipboard, filling, clearing, arithmetic. */
import { Client } from "./support/client"
import { copy, paste } from "./support/clipboard"
import { expect, type Person, person, test } from "./support/plan"
import { Server } from "./support/server"

const selectedCells = ({ page }: Person) => page.getByRole("gridcell", { selected: true })
const toast = ({ page }: Person) => page.locator(".toast").last()
const newRow = ({ page }: Person) => page.getByRole("button", { name: "Add a position, or paste rows here" })

test("ranges are selected with mouse and keyboard", async ({ cfo }) => {
  const { page } = cfo
  const announced = page.getByRole("status").filter({ hasText: "selected, from" })
  await cfo.cell("Office Manager", "department").click()
  await cfo.cell("QA Engineer", "budget").click({ modifiers: ["Shift"] })
  await expect(selectedCells(cfo)).toHaveCount(6)
  await expect(announced).toHaveText("3 rows, 2 columns selected, from Department of Office Manager to Budget of QA Engineer")
  await expect(page.getByText("6 cells, 55 ₹ lakh")).toBeVisible()
  await expect(cfo.cell("Office Manager", "department")).toBeFocused()

  await page.keyboard.press("Shift+ArrowUp")
  await page.keyboard.press("Shift+ArrowRight")
  await expect(selectedCells(cfo)).toHaveCount(6)
  await expect(announced).toHaveText("2 rows, 3 columns selected, from Department of Office Manager to Location of Head of Design")
  await page.keyboard.press("Escape")
  await expect(selectedCells(cfo)).toHaveCount(1)
  await page.keyboard.press("Shift+Space")
  await expect(announced).toHaveText("1 row, 7 columns selected, from Designation of Office Manager to End of Office Manager")
  await page.keyboard.press("Control+Space")
  await expect(page.getByText("420 cells, 1,254 ₹ lakh")).toBeVisible()
  await page.keyboard.press("ArrowRight")
  await page.keyboard.press("Control+Space")
  await expect(page.getByText("60 cells, 1,254 ₹ lakh")).toBeVisible()
  await page.keyboard.press("ControlOrMeta+a")
  await expect(page.getByText("420 cells, 1,254 ₹ lakh")).toBeVisible()
  await page.keyboard.press("Control+Home")
  await expect(selectedCells(cfo)).toHaveCount(0)

  // By dragging, and by the heads of rows and columns.
  await cfo.cell("Office Manager", "budget").hover()
  await page.mouse.down()
  await cfo.cell("QA Engineer", "location").hover()
  await page.mouse.up()
  await expect(announced).toHaveText("3 rows, 2 columns selected, from Budget of Office Manager to Location of QA Engineer")
  await page.locator(".grid-head .cell-budget .head-label").click()
  await expect(page.getByText("60 cells, 1,254 ₹ lakh")).toBeVisible()
  await expect(page.getByRole("columnheader", { name: /^Budget/ })).toHaveAttribute("aria-sort", "none")
  await cfo
    .row("Head of Design")
    .locator(".cell-select")
    .click({ position: { x: 4, y: 6 } })
  await cfo
    .row("QA Engineer")
    .locator(".cell-select")
    .click({ position: { x: 4, y: 6 }, modifiers: ["Shift"] })
  await expect(announced).toHaveText("2 rows, 7 columns selected, from Designation of Head of Design to End of QA Engineer")
  await expect(page.getByRole("checkbox", { checked: true })).toHaveCount(0)
})

test("a range is copied, cut and pasted with the keys of the system", async ({ cfo, ceo, server }) => {
  const { page } = cfo
  await cfo.context.grantPermissions(["clipboard-read", "clipboard-write"])
  await cfo.cell("Office Manager", "department").click()
  await cfo.cell("Head of Design", "location").click({ modifiers: ["Shift"] })
  await page.keyboard.press("ControlOrMeta+c")
  const copied = await page.evaluate(() => navigator.clipboard.readText())
  const [first, second] = copied.split("\n").map((line) => line.split("\t")) as [string[], string[]]
  expect(first[1]).toBe("8")
  await cfo.cell("Payroll Analyst", "department").click()
  await page.keyboard.press("ControlOrMeta+v")
  await expect(toast(cfo)).toContainText(/^Pasted \d cells\./)
  await expect(ceo.value("Payroll Analyst", "department")).toHaveText(first[0] ?? "")
  await expect(ceo.value("Payroll Analyst", "budget")).toHaveText("8")
  await expect(ceo.value("Payroll Analyst", "location")).toHaveText(first[2] ?? "")
  await expect(selectedCells(cfo)).toHaveCount(6)
  expect(second).toHaveLength(3)

  await cfo.cell("Office Manager", "budget").click()
  await page.keyboard.press("ControlOrMeta+x")
  await expect(ceo.value("Office Manager", "budget")).toHaveText("—")
  await expect(toast(cfo)).toContainText("Cut 1 cell.")
  await cfo.cell("Head of Design", "budget").click()
  await page.keyboard.press("ControlOrMeta+v")
  await expect(ceo.value("Head of Design", "budget")).toHaveText("8")
  await cfo.expectSync("live", 0)
  expect(await server.rows()).toHaveLength(60)
})

/** As Excel and Google Sheets write their cells. */
const EXCEL = `<html xmlns:x="urn:schemas-microsoft-com:office:excel"><head><style>td {mso-number-format:General;}</style></head><body>
<!--StartFragment--><table border=0 cellpadding=0><col width=64><tr height=20>
  <td height=20 class=xl65>Design &amp;
  Brand</td><td align=right>1,250.50</td><td>Navi<br style='mso-data-placement:same-cell'>Mumbai</td></tr>
 <tr><td>R&amp;D&nbsp;</td><td align=right></td><td x:str>'=1+1</td></tr></table><!--EndFragment--></body></html>`
const SHEETS = `<meta charset='utf-8'><google-sheets-html-origin><style type="text/css"><!--td {border: 1px solid #ccc;}--></style>
<table xmlns="http://www.w3.org/1999/xhtml" cellspacing="0" dir="ltr" data-sheets-root="1"><colgroup><col width="100"/></colgroup><tbody>
<tr><td colspan="2" data-sheets-value='{"1":2,"2":"Sales"}'>Sales</td><td>Goa</td></tr>
<tr><td rowspan="2">HR</td><td data-sheets-value='{"1":3,"3":12.5}'>12.5</td><td>Pune</td></tr><tr><td>13</td><td>Delhi</td></tr></tbody></table>`

test("tables of Excel and Google Sheets are pasted", async ({ cfo, ceo }) => {
  const { page } = cfo
  await cfo.cell("Office Manager", "department").click()
  await paste(page, { text: "ignored", html: EXCEL })
  await expect(ceo.value("Office Manager", "department")).toHaveText("Design & Brand")
  await expect(ceo.value("Office Manager", "budget")).toHaveText("1,250.5")
  await expect(ceo.value("Office Manager", "location")).toHaveText(/Navi\s+Mumbai/)
  await expect(ceo.value("Head of Design", "department")).toHaveText("R&D")
  await expect(ceo.value("Head of Design", "budget")).toHaveText("—")
  await expect(ceo.value("Head of Design", "location")).toHaveText("=1+1")
  await cfo.cell("Office Manager", "department").click()
  await paste(page, { text: "ignored", html: SHEETS })
  // A merged cell has its text in the first place only.
  for (const [name, department, budget, location] of [
    ["Office Manager", "Sales", "—", "Goa"],
    ["Head of Design", "HR", "12.5", "Pune"],
    ["QA Engineer", "", "13", "Delhi"],
  ] as const) {
    await expect(ceo.value(name, "department")).toHaveText(department)
    await expect(ceo.value(name, "budget")).toHaveText(budget)
    await expect(ceo.value(name, "location")).toHaveText(location)
  }
  // HTML without a table is not a table.
  await cfo.cell("Office Manager", "location").click()
  await paste(page, { text: "Surat", html: "<p>Somewhere else</p>" })
  await expect(ceo.value("Office Manager", "location")).toHaveText("Surat")
})

test("rows pasted below the last row become positions", async ({ server, cfo }) => {
  const { page } = cfo
  await cfo.cell("Office Manager", "designation").click()
  await page.keyboard.press("ControlOrMeta+End")
  await page.keyboard.press("ArrowDown")
  await expect(newRow(cfo)).toBeFocused()
  const rows = Array.from({ length: 50 }, (_, at) => `Hire ${at + 1}\tGrowth\t${at + 1}\tPune`)
  await paste(page, { text: `${rows.join("\r\n")}\r\n` })
  await expect(toast(cfo)).toContainText("Added 50 positions.")
  await expect(cfo.cell("Hire 1", "designation")).toBeFocused()
  await expect(page.getByText("350 cells, 1,275 ₹ lakh")).toBeVisible()
  await cfo.expectSync("live", 0)
  expect((await server.rows()).slice(0, 50).map(({ designation }) => designation)).toEqual(rows.map((row) => row.split("\t")[0]))

  // A block that reaches below the last row changes cells and adds positions.
  const last = (await server.rows()).at(-1)?.designation ?? ""
  await page.keyboard.press("ControlOrMeta+End")
  await page.keyboard.press("Home")
  await page.keyboard.press("ArrowRight")
  await paste(page, { text: `${last}\tNowhere\nStoker\tGrowth\n` })
  await expect(toast(cfo)).toContainText("Pasted 1 cell and added 1 position.")
  await cfo.undo()
  await expect.poll(async () => (await server.rows()).length).toBe(110)
})

test("rows pasted into an empty plan are previewed", async ({ browser }) => {
  const server = await Server.start({ rows: [] })
  const cfo = await person(browser, "CFO")
  await cfo.open(server.url)
  await paste(cfo.page, { text: "Cook\tKitchen\t3\tPune\nWaiter\tKitchen\t2\tPune\n" })
  await cfo.page.getByRole("dialog", { name: "Paste positions" }).getByRole("button", { name: "Add 2 positions" }).click()
  await expect(cfo.cell("Waiter", "budget")).toHaveText("2")
  await cfo.undo()
  await expect(cfo.page.getByText("This plan has no positions yet.")).toBeVisible()
  await cfo.context.close()
  await server.close()
})

test("a range is filled by a value, Ctrl+D and the handle", async ({ server, cfo, ceo }) => {
  const { page } = cfo
  const names = (await server.rows()).slice(0, 6).map(({ designation }) => designation)
  const [one = "", two = "", three = "", four = "", five = "", six = ""] = names
  await cfo.cell(one, "location").click()
  await cfo.cell(three, "location").click({ modifiers: ["Shift"] })
  await paste(page, { text: "Goa" })
  for (const name of [one, two, three]) await expect(ceo.value(name, "location")).toHaveText("Goa")

  await cfo.set(one, "budget", "77")
  await cfo.cell(one, "budget").click()
  await cfo.cell(four, "budget").click({ modifiers: ["Shift"] })
  await page.keyboard.press("ControlOrMeta+d")
  await expect(toast(cfo)).toContainText("Filled 3 cells.")
  for (const name of [two, three, four]) await expect(ceo.value(name, "budget")).toHaveText("77")
  // A single cell takes the value above it.
  await cfo.cell(five, "budget").click()
  await page.keyboard.press("ControlOrMeta+d")
  await expect(ceo.value(five, "budget")).toHaveText("77")

  await cfo.set(one, "department", "Alpha")
  await cfo.set(two, "department", "Beta")
  await cfo.cell(one, "department").click()
  await cfo.cell(two, "department").click({ modifiers: ["Shift"] })
  await page.locator(".fill-handle").hover()
  await page.mouse.down()
  await cfo.cell(six, "department").hover()
  await expect(page.locator(".fill-target")).toHaveCount(4)
  await page.mouse.up()
  const departments = async () => (await server.rows()).slice(0, 6).map(({ department }) => department)
  await expect.poll(departments).toEqual(["Alpha", "Beta", "Alpha", "Beta", "Alpha", "Beta"])
  await expect(selectedCells(cfo)).toHaveCount(6)
  // Escape ends a drag without a change.
  await page.locator(".fill-handle").hover()
  await page.mouse.down()
  await page.mouse.move(500, 700)
  await page.keyboard.press("Escape")
  await page.mouse.up()
  await expect(page.locator(".fill-target")).toHaveCount(0)
  expect(await departments()).toEqual(["Alpha", "Beta", "Alpha", "Beta", "Alpha", "Beta"])
})

test("Delete clears cells, and another command deletes positions", async ({ server, cfo, ceo }) => {
  const client = await Client.open(server)
  const { page } = cfo
  const id = client.id("Office Manager")
  client.handle.change((doc) => {
    Object.assign(doc.positions[id] ?? {}, { headcount: 3 })
  })
  await cfo.cell("Office Manager", "designation").click()
  await cfo.cell("Head of Design", "location").click({ modifiers: ["Shift"] })
  await page.keyboard.press("Delete")
  await expect(toast(cfo)).toContainText(
    "Cleared 6 cells. 2 values were refused, the first: Designation of “Office Manager”: A position needs a designation.",
  )
  await expect(ceo.value("Office Manager", "budget")).toHaveText("—")
  await expect(ceo.value("Head of Design", "location")).toHaveText("")
  await expect.poll(() => client.row(id)).toMatchObject({ designation: "Office Manager", department: "", headcount: 3 })
  expect(Object.keys(client.row(id) ?? {})).not.toContain("budget")
  await page.getByRole("button", { name: "Show all 2" }).click()
  const dialog = page.getByRole("dialog", { name: "Not cleared" })
  await expect(dialog.getByRole("listitem")).toHaveCount(2)
  await page.keyboard.press("Escape")

  await cfo.cell("QA Engineer", "budget").click()
  await page.keyboard.press("Backspace")
  await expect(ceo.value("QA Engineer", "budget")).toHaveText("—")
  await cfo.cell("Head of Design", "budget").click()
  await page.keyboard.press("Shift+ArrowDown")
  await page.keyboard.press("ControlOrMeta+Backspace")
  await expect(toast(cfo)).toContainText("Deleted 2 positions.")
  await expect(ceo.row("QA Engineer")).toHaveCount(0)
  await cfo.undo()
  await expect(ceo.row("QA Engineer")).toHaveCount(1)
  await client.close()
})

test("values that do not fit are refused with the reason", async ({ cfo, ceo }) => {
  const { page } = cfo
  await cfo.cell("Office Manager", "budget").click()
  await paste(page, { text: "$30\n2.5 cr\nmany\n=40*2" })
  await expect(toast(cfo)).toContainText("Pasted 1 cell. Amounts in crore were converted to lakh. 3 values were refused")
  await expect(toast(cfo)).toContainText("Budget of “Office Manager”: “$30” is in $, but this plan is in INR.")
  await expect(cfo.value("Office Manager", "budget")).toHaveText("8")
  await expect(ceo.value("Head of Design", "budget")).toHaveText("250")
  await page.getByRole("button", { name: "Show all 3" }).click()
  await expect(page.getByRole("dialog", { name: "Not pasted" })).toContainText("“many” is not an amount.")
  await page.keyboard.press("Escape")
  await cfo.cell("Office Manager", "location").click()
  await paste(page, { text: "=SUM(A1:A9)" })
  await expect(ceo.value("Office Manager", "location")).toHaveText("=SUM(A1:A9)")
})

test("amounts of a plan with another unit or currency are refused", async ({ cfo }) => {
  const { page } = cfo
  await cfo.cell("Office Manager", "department").click()
  await page.keyboard.press("Shift+ArrowRight")
  const copied = await copy(page)
  await page.getByRole("button", { name: /^Plan: / }).click()
  await page.getByRole("button", { name: "Plan settings…" }).click()
  await page.getByRole("dialog").getByLabel("Currency").fill("USD")
  await page.getByRole("dialog").getByRole("button", { name: "Save" }).click()
  await cfo.cell("Head of Design", "department").click()
  await paste(page, copied)
  await expect(toast(cfo)).toContainText("“8” was copied from a plan in ₹ lakh, but this plan is in $ lakh.")
  await expect(cfo.value("Head of Design", "budget")).not.toHaveText("8")
})

test("typed arithmetic is calculated once", async ({ server, cfo }) => {
  const { page } = cfo
  for (const [typed, value] of [
    ["=40*1.1", 44],
    ["12L", 12],
    ["25 lakh", 25],
    ["2.5 cr", 250],
    ["=12L + 2.5 cr", 262],
  ] as const) {
    await cfo.set("Office Manager", "budget", typed)
    await expect(cfo.value("Office Manager", "budget")).toHaveText(String(value))
  }
  await cfo.cell("Office Manager", "budget").focus()
  await page.keyboard.type("=40/0")
  await page.keyboard.press("Enter")
  await expect(page.getByRole("alert").filter({ hasText: "A number cannot be divided by zero." })).toBeVisible()
  await page.keyboard.press("Escape")
  await cfo.set("Office Manager", "location", "=40*2")
  await expect(cfo.value("Office Manager", "location")).toHaveText("=40*2")
  await cfo.expectSync("live", 0)
  expect((await server.rows()).find(({ designation }) => designation === "Office Manager")).toMatchObject({
    budget: 262,
    location: "=40*2",
  })
})

test("a double click edits, a click selects", async ({ cfo }) => {
  const { page } = cfo
  const cell = cfo.cell("Office Manager", "budget")
  await cell.click()
  await cell.click({ delay: 10 })
  await page.waitForTimeout(600)
  await expect(page.getByRole("grid").getByRole("textbox")).toHaveCount(0)
  await cell.dblclick()
  await expect(page.getByRole("textbox", { name: "Budget of Office Manager" })).toBeFocused()
})

test("pasted and filled cells keep concurrent edits and other fields", async ({ server, browser }) => {
  const client = await Client.open(server)
  const cfo = await person(browser, "CFO")
  await cfo.open(server.url)
  await cfo.waitForServiceWorker()
  const id = client.id("Office Manager")
  client.handle.change((doc) => {
    Object.assign(doc.positions[id] ?? {}, { notes: { by: "CEO" } })
  })
  await cfo.expectSync("live", 0)
  await server.kill()
  await cfo.expectSync("offline")
  client.handle.change((doc) => {
    Object.assign(doc.positions[id] ?? {}, { budget: 91 })
  })
  await cfo.cell("Office Manager", "department").click()
  await paste(cfo.page, { text: "HR\t90\tGoa" })
  await cfo.expectSync("offline", 1)
  await cfo.page.waitForTimeout(500)
  await cfo.page.reload()
  await server.up()
  await cfo.expectSync("live", 0)
  await expect(cfo.page.getByRole("button", { name: "Budget of Office Manager: 2 conflicting values" })).toBeVisible()
  await expect.poll(() => client.row(id)).toMatchObject({ department: "HR", location: "Goa", notes: { by: "CEO" } })
  const row = (await server.rows()).find(({ designation }) => designation === "Office Manager")
  expect([row?.budget, ...(row?.conflicts?.budget ?? [])].sort()).toEqual([90, 91])
  await client.close()
  await cfo.context.close()
})

test("a viewer selects and copies, and changes nothing", async ({ browser }) => {
  const server = await Server.start()
  await server.kill()
  server.addUser("board", "viewer", "correct horse battery")
  server.flags.push("--auth", server.auth)
  await server.up()
  const board = await person(browser, "")
  const { page } = board
  await page.goto(server.url)
  await page.getByLabel("Username or email").fill("board")
  await page.getByLabel("Password").fill("correct horse battery")
  await page.getByRole("button", { name: "Log in" }).click()
  await board.cell("Office Manager", "budget").click()
  await board.cell("Head of Design", "location").click({ modifiers: ["Shift"] })
  await expect(selectedCells(board)).toHaveCount(4)
  const { text } = await copy(page)
  expect(text.split("\n")).toHaveLength(2)
  expect(text).toContain("8\t")
  await expect(page.locator(".fill-handle")).toHaveCount(0)
  await expect(newRow(board)).toHaveCount(0)
  expect((await copy(page, "cut")).text).toBe("")
  await paste(page, { text: "99" })
  for (const key of ["Delete", "ControlOrMeta+d", "ControlOrMeta+Backspace", "ControlOrMeta+z"]) await page.keyboard.press(key)
  await expect(board.value("Office Manager", "budget")).toHaveText("8")
  await expect(toast(board)).toHaveCount(0)
  await board.expectSync("live", 0)
  await board.context.close()
  await server.close()
})
