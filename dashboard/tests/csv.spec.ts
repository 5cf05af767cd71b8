/** CSV import and export. */
import { readFileSync } from "node:fs"
import path from "node:path"
import { copy, paste } from "./support/clipboard"
import { expect, person, test } from "./support/plan"
import { Server } from "./support/server"

const NASTY = [
  { designation: "=SUM(A1:A9)", department: "+49 30 1234", budget: 1, location: "-" },
  { designation: '@home, "quoted"', department: "R&D; Labs", budget: 2.5, location: "São Paulo, Brazil" },
  { designation: "'already", department: "'=typed", budget: 3, location: "\tTabbed" },
  { designation: "Two\nlines", department: "日本", budget: 9_007_199_254_740_991, location: "" },
]
const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`

test("special characters and formulas survive export and import", async ({ browser }) => {
  const server = await Server.start({ rows: [] })
  const cfo = await person(browser, "CFO")
  await cfo.open(server.url)
  // Escaped as by the page and the server.
  const guard = (text: string) => quoted(/^'*[=+\-@\t\r\n]/.test(text) ? `'${text}` : text)
  const lines = NASTY.map((row) => [guard(row.location), guard(row.designation), row.budget, guard(row.department)].join(","))
  const file = `\ufeffLocation,Job title,Budget,Department,Notes\r\n${lines.join("\r\n")}\r\n,,,,\r\nSurat,Clerk,a lot,HR,`
  await cfo.page.getByRole("button", { name: "Import a table" }).click()
  await cfo.page
    .getByLabel("Choose an Excel or CSV file, or drop one here")
    .setInputFiles({ name: "plan.csv", mimeType: "text/csv", buffer: Buffer.from(file) })
  const dialog = cfo.page.getByRole("dialog")
  await expect(dialog.getByText("1 line cannot be imported")).toBeVisible()
  await expect(dialog.getByText("Line 7: Budget: “a lot” is not an amount.")).toBeVisible()
  await expect(dialog.getByText("Columns not imported: Notes.")).toBeVisible()
  await dialog.getByRole("button", { name: "Add 4 positions" }).click()
  await cfo.expectSync("live", 0)
  const bare = (rows: { designation: string; department: string; budget: number; location: string }[]) =>
    rows.map(({ designation, department, budget, location }) => ({ designation, department, budget, location }))
  await expect.poll(async () => bare(await server.rows())).toEqual(NASTY)

  const download = cfo.page.waitForEvent("download")
  await cfo.page.getByRole("button", { name: "Import or export" }).click()
  await cfo.page.getByRole("button", { name: "Export all as CSV" }).click()
  const exported = readFileSync(await (await download).path(), "utf8")
  expect(exported.startsWith("\ufeffid,designation,department,budget,location,")).toBe(true)
  expect(exported).toContain("'=SUM(A1:A9),'+49 30 1234,1,'-")
  expect(exported).toContain("''=typed")

  // The exported file, and the export of the server, change nothing when they are imported again.
  const theirs = await (await fetch(`${server.url}/api/documents/default/export.csv`)).arrayBuffer()
  for (const buffer of [Buffer.from(exported), Buffer.from(theirs)]) {
    await cfo.page.getByRole("button", { name: "Import or export" }).click()
    await cfo.page.getByRole("button", { name: "Import a table…" }).click()
    await cfo.page
      .getByLabel("Choose an Excel or CSV file, or drop one here")
      .setInputFiles({ name: "again.csv", mimeType: "text/csv", buffer })
    await expect(dialog.getByText("Nothing changes: all 4 positions equal the plan.")).toBeVisible()
    await expect(dialog.getByRole("button", { name: "Add", exact: true })).toBeDisabled()
    await dialog.getByRole("button", { name: "Cancel" }).click()
  }

  // Without the ids they are added again.
  const withoutIds = exported.replace("\ufeffid,", "\ufeffnumber,")
  await cfo.page.getByRole("button", { name: "Import or export" }).click()
  await cfo.page.getByRole("button", { name: "Import a table…" }).click()
  await cfo.page
    .getByLabel("Choose an Excel or CSV file, or drop one here")
    .setInputFiles({ name: "copy.csv", mimeType: "text/csv", buffer: Buffer.from(withoutIds) })
  await expect(dialog.getByText("4 lines equal positions of the plan")).toBeVisible()
  await dialog.getByRole("button", { name: "Add 4 positions" }).click()
  await cfo.expectSync("live", 0)
  await expect.poll(async () => bare(await server.rows())).toEqual([...NASTY, ...NASTY])
  await cfo.context.close()
  await server.close()
})

const FIXTURES = path.resolve(import.meta.dirname, "../../tests/fixtures/csv")
/** Text of the preview and number of positions for each file; 0 if nothing can be imported. */
const FILES: [name: string, count: number, text: string][] = [
  ["blank-first-line.csv", 1, "This position adds ₹5 lakh"],
  ["duplicate-headers.csv", 0, "Two columns are called “title”."],
  ["extra-cells.csv", 0, "Line 2: 5 cells, 4 columns."],
  ["newline-in-header.csv", 1, "This position adds ₹5 lakh"],
  ["no-budget.csv", 1, "This table has no budget column."],
  ["one-known-header.csv", 1, "Columns not imported: description."],
  ["padded.csv", 3, "These positions add ₹6 lakh"],
  ["pasted-numbers.txt", 0, "The table contains only numbers."],
  ["payroll-export.csv", 0, "The amounts look like ₹"],
  ["sep-line.csv", 2, "These positions add ₹19.5 lakh"],
  ["title-and-total.csv", 1, "Line 5 is a total."],
]

test("foreign files are imported or rejected with a reason", async ({ cfo }) => {
  await cfo.page.getByRole("button", { name: "Import or export" }).click()
  await cfo.page.getByRole("button", { name: "Import a table…" }).click()
  const dialog = cfo.page.getByRole("dialog")
  const choose = (files: Parameters<ReturnType<typeof dialog.getByLabel>["setInputFiles"]>[0]) =>
    dialog.locator("input[type=file]").setInputFiles(files)
  for (const [name, count, text] of FILES) {
    await choose(path.join(FIXTURES, name))
    await expect(dialog).toContainText(name)
    await expect(dialog).toContainText(text)
    const add = dialog.getByRole("button", { name: count === 0 ? "Add" : `Add ${count} position`, exact: count === 0 })
    await expect(add).toBeEnabled({ enabled: count > 0 })
  }
  await choose({ name: "plan.xlsx", mimeType: "", buffer: Buffer.from("PK\u0003\u0004 [Content_Types].xml xl/workbook.xml") })
  await expect(dialog.getByRole("alert")).toHaveText(
    "The workbook is damaged and cannot be read. Open it in a spreadsheet program and save it again.",
  )
  await expect(dialog.getByRole("button", { name: "Add", exact: true })).toBeDisabled()

  // Spellings of one department are grouped, and an unknown budget stays unknown.
  await choose({ name: "all.csv", mimeType: "", buffer: Buffer.from("title,dept\nCook,Kitchen\nChef,Kitchen \nHost, kitchen") })
  await dialog.getByRole("button", { name: "Add 3 positions" }).click()
  await expect(cfo.cell("Cook", "budget")).toHaveText("—")
  await expect(cfo.page.getByRole("combobox", { name: "Department" }).getByRole("option", { name: /kitchen/i })).toHaveCount(1)
  await cfo.page.getByRole("combobox", { name: "Department" }).selectOption({ label: "Kitchen" })
  await expect(cfo.page.getByRole("status").filter({ hasText: "3 of 63" })).toBeVisible()
})

test("a pasted table with a header is previewed and can be undone", async ({ cfo, ceo }) => {
  await cfo.cell("Office Manager", "designation").focus()
  await paste(cfo.page, {
    text: "Job title\tCity\tTeam\tBudget\nPlumber\tSurat\tFacilities\t12,50,000\nPainter\tSurat\tFacilities\t₹ 3.5\n",
  })
  const dialog = cfo.page.getByRole("dialog", { name: "Paste positions" })
  // Amounts of this size may be in another unit, so that the page asks.
  await expect(dialog.getByText("The amounts look like ₹.")).toBeVisible()
  await expect(dialog.getByRole("button", { name: "Add", exact: true })).toBeDisabled()
  await dialog.getByLabel("Amounts without a unit are in").selectOption({ label: "₹ lakh (unit of the plan)" })
  await expect(dialog.getByLabel("Preview").getByRole("row")).toHaveCount(3)
  await dialog.getByRole("button", { name: "Add 2 positions" }).click()
  await expect(ceo.cell("Plumber", "budget")).toHaveText("12,50,000")
  await expect(ceo.cell("Painter", "budget")).toHaveText("3.5")
  await cfo.undo()
  await expect(ceo.row("Plumber")).toHaveCount(0)
})

test("undoing an import keeps rows edited by others", async ({ cfo, ceo }) => {
  await cfo.cell("Office Manager", "designation").focus()
  await paste(cfo.page, {
    text: "designation\tdepartment\tbudget\tlocation\nPlumber\tFacilities\t5\tSurat\nPainter\tFacilities\t3\tSurat\n",
  })
  await cfo.page.getByRole("dialog").getByRole("button", { name: "Add 2 positions" }).click()
  await ceo.set("Plumber", "budget", "6")
  await expect(cfo.cell("Plumber", "budget")).toHaveText("6")
  await cfo.undo()
  await expect(cfo.page.getByText("“Plumber” has been changed since and was kept.")).toBeVisible()
  await expect(ceo.row("Painter")).toHaveCount(0)
  await expect(ceo.cell("Plumber", "budget")).toHaveText("6")
})

test("copied cells are escaped and paste back unchanged", async ({ cfo }) => {
  await cfo.set("Office Manager", "location", "=1+1")
  await cfo.cell("Office Manager", "location").focus()
  const { text } = await copy(cfo.page)
  expect(text).toBe("'=1+1")
  await cfo.cell("Head of Design", "location").focus()
  await paste(cfo.page, { text })
  await expect(cfo.cell("Head of Design", "location")).toHaveText("=1+1")
})
