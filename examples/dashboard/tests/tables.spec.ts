/** Tables in and out, unharmed. */
import { readFileSync } from "node:fs"
import { expect, person, test } from "./support/plan"
import { Server } from "./support/server"

const NASTY = [
  { designation: "=SUM(A1:A9)", department: "+49 30 1234", budget: 1, location: "-" },
  { designation: '@home, "quoted"', department: "R&D; Labs", budget: 2.5, location: "São Paulo, Brazil" },
  { designation: "'already", department: "'=typed", budget: 3, location: "\tTabbed" },
  { designation: "Two\nlines", department: "日本", budget: 9_007_199_254_740_991, location: "" },
]
const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`

test("formulas, commas, quotes and a byte order mark go in and out unharmed", async ({ browser }) => {
  const server = await Server.start({ rows: [] })
  const cfo = await person(browser, "CFO")
  await cfo.open(server.url)
  // As the page itself, and the server, write it.
  const guard = (text: string) => quoted(/^'*[=+\-@\t\r\n]/.test(text) ? `'${text}` : text)
  const lines = NASTY.map((row) => [guard(row.location), guard(row.designation), row.budget, guard(row.department)].join(","))
  const file = `\ufeffLocation,Job title,Budget,Department,Notes\r\n${lines.join("\r\n")}\r\n,,,,\r\nSurat,Clerk,a lot,HR,`
  await cfo.page.getByRole("button", { name: "Import a table" }).click()
  await cfo.page
    .getByLabel("Choose a CSV file, or drop one here")
    .setInputFiles({ name: "plan.csv", mimeType: "text/csv", buffer: Buffer.from(file) })
  const dialog = cfo.page.getByRole("dialog")
  await expect(dialog.getByText("1 line cannot be taken")).toBeVisible()
  await expect(dialog.getByText("“a lot” is not a number.")).toBeVisible()
  await expect(dialog.getByText("Left out, as a position has nothing of the kind: Notes.")).toBeVisible()
  await dialog.getByRole("button", { name: "Add 4 positions" }).click()
  await cfo.is("live", 0)
  const bare = (rows: { designation: string; department: string; budget: number; location: string }[]) =>
    rows.map(({ designation, department, budget, location }) => ({ designation, department, budget, location }))
  await expect.poll(async () => bare(await server.rows())).toEqual(NASTY)

  const download = cfo.page.waitForEvent("download")
  await cfo.page.getByRole("button", { name: "Import or export" }).click()
  await cfo.page.getByRole("button", { name: "Export all as CSV" }).click()
  const exported = readFileSync(await (await download).path(), "utf8")
  expect(exported.startsWith("\ufeffdesignation,department,budget,location,")).toBe(true)
  expect(exported).toContain("'=SUM(A1:A9),'+49 30 1234,1,'-")
  expect(exported).toContain("''=typed")

  // And in again, beside the same rows.
  await cfo.page.getByRole("button", { name: "Import or export" }).click()
  await cfo.page.getByRole("button", { name: "Import CSV…" }).click()
  await cfo.page
    .getByLabel("Choose a CSV file, or drop one here")
    .setInputFiles({ name: "again.csv", mimeType: "text/csv", buffer: Buffer.from(exported) })
  await cfo.page.getByRole("dialog").getByRole("button", { name: "Add 4 positions" }).click()
  await cfo.is("live", 0)
  await expect.poll(async () => bare(await server.rows())).toEqual([...NASTY, ...NASTY])

  // What the server exports is read the same way.
  const theirs = await (await fetch(`${server.url}/api/documents/default/export.csv`)).arrayBuffer()
  await cfo.page.getByRole("button", { name: "Import or export" }).click()
  await cfo.page.getByRole("button", { name: "Import CSV…" }).click()
  await cfo.page
    .getByLabel("Choose a CSV file, or drop one here")
    .setInputFiles({ name: "server.csv", mimeType: "text/csv", buffer: Buffer.from(theirs) })
  await cfo.page.getByRole("dialog").getByRole("button", { name: "Add 8 positions" }).click()
  await cfo.is("live", 0)
  await expect.poll(async () => bare(await server.rows())).toEqual([...NASTY, ...NASTY, ...NASTY, ...NASTY])
  await cfo.context.close()
  await server.close()
})

test("rows that are copied from a spreadsheet are pasted, with a preview, and can be undone", async ({ cfo, ceo }) => {
  await cfo.cell("Office Manager", "designation").focus()
  await cfo.page.evaluate(() => {
    const clipboardData = new DataTransfer()
    clipboardData.setData("text/plain", "Plumber\tFacilities\t12,50,000\tSurat\nPainter\tFacilities\t₹ 3.5\tSurat\n")
    document.activeElement?.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }))
  })
  const dialog = cfo.page.getByRole("dialog", { name: "Paste positions" })
  await expect(dialog.getByRole("row")).toHaveCount(3)
  await dialog.getByRole("button", { name: "Add 2 positions" }).click()
  await expect(ceo.cell("Plumber", "budget")).toHaveText("12,50,000")
  await expect(ceo.cell("Painter", "budget")).toHaveText("3.5")
  await cfo.page.getByRole("button", { name: "Undo" }).click()
  await expect(ceo.row("Plumber")).toHaveCount(0)
})

test("who takes an import back leaves what others have worked on since", async ({ cfo, ceo }) => {
  await cfo.cell("Office Manager", "designation").focus()
  await cfo.page.evaluate(() => {
    const clipboardData = new DataTransfer()
    clipboardData.setData("text/plain", "Plumber\tFacilities\t5\tSurat\nPainter\tFacilities\t3\tSurat\n")
    document.activeElement?.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }))
  })
  await cfo.page.getByRole("dialog").getByRole("button", { name: "Add 2 positions" }).click()
  await ceo.set("Plumber", "budget", "6")
  await expect(cfo.cell("Plumber", "budget")).toHaveText("6")
  await cfo.page.getByRole("button", { name: "Undo" }).click()
  await expect(cfo.page.getByText("“Plumber” has been changed since, and stays.")).toBeVisible()
  await expect(ceo.row("Painter")).toHaveCount(0)
  await expect(ceo.cell("Plumber", "budget")).toHaveText("6")
})

test("what is copied is nothing that a spreadsheet would run, and is pasted as it was", async ({ cfo }) => {
  await cfo.set("Office Manager", "location", "=1+1")
  const cell = cfo.cell("Office Manager", "location")
  await cell.focus()
  const copied = await cell.evaluate((element) => {
    const clipboardData = new DataTransfer()
    element.dispatchEvent(new ClipboardEvent("copy", { clipboardData, bubbles: true, cancelable: true }))
    return clipboardData.getData("text/plain")
  })
  expect(copied).toBe("'=1+1")
  await cfo.cell("Head of Design", "location").focus()
  await cfo.cell("Head of Design", "location").evaluate((element, text) => {
    const clipboardData = new DataTransfer()
    clipboardData.setData("text/plain", text)
    element.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }))
  }, copied)
  await cfo.page.keyboard.press("Enter")
  await expect(cfo.cell("Head of Design", "location")).toHaveText("=1+1")
})
