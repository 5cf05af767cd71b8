/** Workbooks in and out, columns by hand, and updates by id. */
import { readFileSync } from "node:fs"
import path from "node:path"
import type { Locator } from "@playwright/test"
import { readXlsx, writeXlsx } from "hucre/xlsx"
import { expect, type Person, test } from "./support/plan"

const HEADCOUNT = path.resolve(import.meta.dirname, "fixtures/headcount.xlsx")
const XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

async function openImport({ page }: Person): Promise<Locator> {
  await page.getByRole("button", { name: "Import or export" }).click()
  await page.getByRole("button", { name: "Import a table…" }).click()
  return page.getByRole("dialog", { name: "Import positions" })
}

async function download({ page }: Person, item: string): Promise<Buffer> {
  const started = page.waitForEvent("download")
  await page.getByRole("button", { name: "Import or export" }).click()
  await page.getByRole("button", { name: item }).click()
  return readFileSync(await (await started).path())
}

const file = (name: string, buffer: Uint8Array) => ({ name, mimeType: XLSX, buffer: Buffer.from(buffer) })

test("a workbook is previewed, imported and undone", async ({ cfo, ceo }) => {
  const dialog = await openImport(cfo)
  await dialog.locator("input[type=file]").setInputFiles(HEADCOUNT)
  await expect(dialog.getByLabel("Sheet", { exact: true })).toHaveValue("1")
  await expect(dialog.getByText("Line 7: Location: D7 has the error #REF!.")).toBeVisible()
  await expect(dialog.getByText("Line 11 is a total.")).toBeVisible()
  await expect(dialog.getByText("Numbers in merged cells count once, in their first row: C9:C10.")).toBeVisible()
  await expect(dialog.getByText("Line 5: “=SUM(A1:A9)”: 1,250", { exact: false })).toBeVisible()
  await dialog.getByLabel("Import the 1 row that the sheet hides").uncheck()
  await dialog.getByRole("button", { name: "Add 5 positions" }).click()
  await expect(ceo.cell("Chef", "budget")).toHaveText("8")
  await expect(ceo.cell("=SUM(A1:A9)", "department")).toHaveText("Sales")
  await expect(ceo.row("Hidden clerk")).toHaveCount(0)
  await cfo.undo()
  await expect(ceo.row("Chef")).toHaveCount(0)
  await expect(ceo.row("=SUM(A1:A9)")).toHaveCount(0)
})

test("columns and unit are chosen by hand", async ({ cfo }) => {
  const dialog = await openImport(cfo)
  const text = "Stelle;Abteilung;Gehalt;Ort\nKoch;Küche;1200000;Bonn\nKellner;Saal;900000;Bonn"
  await dialog.locator("input[type=file]").setInputFiles({ name: "stellen.csv", mimeType: "text/csv", buffer: Buffer.from(text) })
  await expect(dialog.getByRole("alert")).toContainText("No column is recognized as the designation.")
  await dialog.getByLabel("Import Stelle as").selectOption("Designation")
  await dialog.getByLabel("Import Abteilung as").selectOption("Designation")
  // Two columns cannot fill one field.
  await expect(dialog.getByLabel("Import Stelle as")).toHaveValue("")
  await dialog.getByLabel("Import Stelle as").selectOption("Designation")
  await dialog.getByLabel("Import Abteilung as").selectOption("Department")
  await dialog.getByLabel("Import Gehalt as").selectOption("Budget")
  await expect(dialog.getByText("The amounts look like ₹.")).toBeVisible()
  await expect(dialog.getByRole("button", { name: "Add", exact: true })).toBeDisabled()
  await dialog.getByLabel("Amounts without a unit are in").selectOption({ label: "₹" })
  await expect(dialog.getByText("These positions add ₹21 lakh")).toBeVisible()
  await dialog.getByRole("button", { name: "Add 2 positions" }).click()
  await expect(cfo.cell("Koch", "budget")).toHaveText("12")
  await expect(cfo.cell("Kellner", "department")).toHaveText("Saal")
})

test("an exported workbook updates the plan by its ids", async ({ cfo, ceo, server }) => {
  const exported = await download(cfo, "Export all as Excel")
  const [sheet, plan] = (await readXlsx(exported)).sheets
  expect([sheet?.name, sheet?.rows.length, plan?.name]).toEqual(["Positions", 61, "Plan"])
  expect(plan?.rows).toContainEqual(expect.arrayContaining(["Currency", "INR"]))

  // Unchanged, it changes nothing.
  let dialog = await openImport(cfo)
  await dialog.locator("input[type=file]").setInputFiles(file("again.xlsx", exported))
  await expect(dialog.getByText("Nothing changes: all 60 positions equal the plan.")).toBeVisible()
  await dialog.getByRole("button", { name: "Cancel" }).click()

  // One budget differs, one position is new, and one is missing.
  const rows = (sheet?.rows ?? []).map((row) => [...row])
  const at = (name: string) => rows.findIndex((row) => row[1] === name)
  const column = rows[0]?.findIndex((head) => String(head).startsWith("Budget")) ?? -1
  const changed = rows[at("Office Manager")] as (typeof rows)[number]
  changed[column] = 77
  rows.splice(at("Head of Design"), 1)
  rows.push([null, "Plumber", "Facilities", ...Array.from({ length: column - 3 }, () => null), 5])
  const edited = file("edited.xlsx", await writeXlsx({ sheets: [{ name: "Positions", rows }] }))
  dialog = await openImport(cfo)
  await dialog.locator("input[type=file]").setInputFiles(edited)
  await expect(dialog.getByLabel("Changed positions").getByRole("row")).toHaveCount(2)
  await expect(dialog.getByText("1 position of the plan is not in the table, and stays")).toBeVisible()
  await dialog.getByRole("button", { name: "Add 1 and update 1 position" }).click()
  await expect(ceo.cell("Office Manager", "budget")).toHaveText("77")
  await expect(ceo.cell("Plumber", "budget")).toHaveText("5")
  await expect(ceo.row("Head of Design")).toHaveCount(1)
  await cfo.undo()
  await expect(ceo.row("Plumber")).toHaveCount(0)
  await expect(ceo.cell("Office Manager", "budget")).not.toHaveText("77")

  // With deletion of what is missing.
  dialog = await openImport(cfo)
  await dialog.locator("input[type=file]").setInputFiles(edited)
  await dialog.getByLabel("Delete positions that are not in the table").check()
  await dialog.getByRole("button", { name: "Add 1, update 1 and delete 1 position" }).click()
  await expect(ceo.row("Head of Design")).toHaveCount(0)
  await cfo.page.keyboard.press("ControlOrMeta+z")
  await expect(ceo.row("Head of Design")).toHaveCount(1)
  await cfo.expectSync("live", 0)
  expect(await server.rows()).toHaveLength(60)
})

test("a changed plan is previewed again before it is written", async ({ cfo, ceo }) => {
  const exported = await download(cfo, "Export all as CSV")
  const edited = exported.toString("utf8").replace("Office Manager", "Office Lead")
  const dialog = await openImport(cfo)
  await dialog.locator("input[type=file]").setInputFiles({ name: "edited.csv", mimeType: "text/csv", buffer: Buffer.from(edited) })
  await expect(dialog.getByRole("button", { name: "Update 1 position" })).toBeEnabled()
  await ceo.set("Head of Design", "location", "Goa")
  await expect(cfo.value("Head of Design", "location")).toHaveText("Goa")
  await dialog.getByRole("button", { name: "Update 1 position" }).click()
  await expect(dialog.getByRole("alert")).toHaveText("The plan has changed since. Check the preview again.")
  await expect(dialog.getByRole("button", { name: "Update 2 positions" })).toBeEnabled()
})
