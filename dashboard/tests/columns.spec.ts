/** Columns that people add to a plan. */
import { readFileSync } from "node:fs"
import { AxeBuilder } from "@axe-core/playwright"
import type { Locator } from "@playwright/test"
import { readXlsx } from "hucre/xlsx"
import { Client } from "./support/client"
import { copy, paste } from "./support/clipboard"
import { test as base, expect, type Person, whileOffline } from "./support/plan"
import { Server } from "./support/server"

const edited = (at: number) => ["Admin", `Sep 18, 2024 12:0${at} AM`]
/** Newest first. */
const ROWS = [
  { id: "a", designation: "Cook", department: "Kitchen", budget: "10", location: "Pune", lastUpdated: edited(9) },
  { id: "b", designation: "Waiter", department: "Service", budget: "4", location: "Goa", lastUpdated: edited(8) },
  { id: "c", designation: "Host", department: "Service", budget: "5", location: "Pune", lastUpdated: edited(7) },
]

const test = base.extend<{ server: Server }>({
  // biome-ignore lint/correctness/noEmptyPattern: Playwright reads what a fixture needs from its first parameter
  server: async ({}, use) => {
    const server = await Server.start({ rows: ROWS })
    await use(server)
    await server.close()
  },
})

const XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

/** The cell of a position in a column of the plan. */
const cell = (user: Person, designation: string, title: string): Locator =>
  user.row(designation).getByRole("gridcell", { name: new RegExp(`^${title}: `) })
const value = (user: Person, designation: string, title: string) => cell(user, designation, title).locator(".value")
/** The names of the columns from left to right. */
const heads = ({ page }: Person) => page.getByRole("columnheader").locator(".head-label")
const titles = (user: Person) => heads(user).evaluateAll((labels) => labels.map((label) => label.getAttribute("title")))
const dialogOf = ({ page }: Person) => page.getByRole("dialog", { name: "Columns", exact: true })

async function openColumns(user: Person): Promise<Locator> {
  await user.page.getByRole("button", { name: "Columns", exact: true }).click()
  return dialogOf(user)
}

async function addColumn(user: Person, title: string, type = "Text", options: readonly string[] = []): Promise<void> {
  const { page } = user
  await (await openColumns(user)).getByRole("button", { name: "Add a column…" }).click()
  const dialog = page.getByRole("dialog", { name: "Add a column" })
  await dialog.getByLabel("Name").fill(title)
  await dialog.getByLabel("Type").selectOption(type)
  if (options.length > 0) await dialog.getByLabel("Options, one in each line").fill(options.join("\n"))
  await dialog.getByRole("button", { name: "Add column" }).click()
  await expect(heads(user).filter({ hasText: title })).toHaveCount(1)
}

/** Types into a cell with the keyboard. */
async function type(user: Person, designation: string, title: string, text: string): Promise<void> {
  await cell(user, designation, title).focus()
  await user.page.keyboard.press("F2")
  await user.page.keyboard.press("ControlOrMeta+a")
  await user.page.keyboard.type(text)
  await user.page.keyboard.press("Enter")
}

test("columns of all types are added, edited, filled, searched and undone", async ({ cfo, ceo }) => {
  const { page } = cfo
  await addColumn(cfo, "Notes")
  await addColumn(cfo, "Seats", "Number")
  await addColumn(cfo, "Due", "Date")
  await addColumn(cfo, "Grade", "Choice", ["Senior", "Junior"])
  await expect
    .poll(() => titles(ceo))
    .toEqual([
      ...["Designation", "Department", "Budget", "Location", "Status", "Start", "End"],
      ...["Notes", "Seats", "Due", "Grade", "Last change"],
    ])

  await type(cfo, "Cook", "Notes", "speaks French")
  await type(cfo, "Cook", "Seats", "=2*3")
  await type(cfo, "Cook", "Due", "15 Jun 2027")
  await type(cfo, "Cook", "Grade", "sen")
  await expect(value(ceo, "Cook", "Notes")).toHaveText("speaks French")
  await expect(value(ceo, "Cook", "Seats")).toHaveText("6")
  await expect(value(ceo, "Cook", "Due")).toHaveText(/15.*2027/)
  await expect(value(ceo, "Cook", "Grade")).toHaveText("Senior")

  // What does not fit stays in the editor with the reason.
  await cell(cfo, "Waiter", "Seats").focus()
  await page.keyboard.type("many")
  await page.keyboard.press("Enter")
  await expect(page.getByRole("alert").filter({ hasText: "“many” is not a number." })).toBeVisible()
  await page.keyboard.press("Escape")

  // A range is filled down, and undone as one action.
  await cell(cfo, "Cook", "Notes").click()
  await cell(cfo, "Host", "Grade").click({ modifiers: ["Shift"] })
  await page.keyboard.press("ControlOrMeta+d")
  await expect(value(ceo, "Host", "Grade")).toHaveText("Senior")
  await expect(value(ceo, "Waiter", "Seats")).toHaveText("6")
  await page.keyboard.press("ControlOrMeta+z")
  await expect(value(ceo, "Host", "Grade")).toHaveText("")
  await page.keyboard.press("ControlOrMeta+Shift+z")
  await expect(value(ceo, "Host", "Grade")).toHaveText("Senior")
  await cell(cfo, "Waiter", "Grade").focus()
  await page.keyboard.press("Delete")
  await expect(value(ceo, "Waiter", "Grade")).toHaveText("")

  // Choices filter and group; the search finds all of them.
  await page.getByRole("combobox", { name: "Group by" }).selectOption("By Grade")
  await expect(page.locator(".group-name")).toHaveText(["Senior", "No Grade"])
  await page.getByRole("combobox", { name: "Group by" }).selectOption("No groups")
  await page.getByRole("combobox", { name: "Grade", exact: true }).selectOption("Senior")
  await expect(cfo.row("Waiter")).toHaveCount(0)
  await expect(page).toHaveURL(/filter\.column\.col/)
  await page.getByRole("combobox", { name: "Grade", exact: true }).selectOption("Grade: all")
  await page.getByRole("searchbox").fill("french")
  await expect(cfo.row("Cook")).toHaveCount(1)
  await page.getByRole("searchbox").fill("")

  await type(cfo, "Waiter", "Seats", "-1")
  await page.getByRole("button", { name: "Sort by Seats" }).click()
  const first = page.getByRole("grid").locator("[data-row]").first()
  await expect(first).toContainText("Cook")
  await page.getByRole("button", { name: "Sort by Seats" }).click()
  await expect(first).toContainText("Waiter")
})

test("cells are copied and pasted, and hidden columns are not pasted over", async ({ cfo, server }) => {
  const { page } = cfo
  await addColumn(cfo, "Seats", "Number")
  await addColumn(cfo, "Notes")
  const dialog = await openColumns(cfo)
  for (const title of ["Status", "Start", "End"]) await dialog.getByRole("checkbox", { name: `Show ${title}` }).uncheck()
  await expect(dialog.getByRole("checkbox", { name: "Show Designation" })).toBeDisabled()
  await dialog.getByRole("button", { name: "Close", exact: true }).last().click()
  await expect.poll(() => titles(cfo)).toEqual(["Designation", "Department", "Budget", "Location", "Seats", "Notes", "Last change"])

  await cell(cfo, "Cook", "Location").click()
  await paste(page, { text: "Bonn\t12\tnear the lake\nKiel\tlots\tby the sea" })
  await expect(value(cfo, "Cook", "Seats")).toHaveText("12")
  await expect(value(cfo, "Waiter", "Notes")).toHaveText("by the sea")
  await expect(page.getByText("1 value was refused. Seats of “Waiter”: “lots” is not a number.")).toBeVisible()
  await page.keyboard.press("Escape")
  await page.keyboard.press("Shift+ArrowRight")
  await page.keyboard.press("Shift+ArrowRight")
  expect((await copy(page)).text).toBe("Bonn\t12\tnear the lake")

  // The address, a reload and Back keep which columns are hidden.
  await page.reload()
  await expect.poll(() => titles(cfo)).toEqual(["Designation", "Department", "Budget", "Location", "Seats", "Notes", "Last change"])
  await page.goBack()
  await expect.poll(() => titles(cfo)).toContain("End")
  const rows = (await server.rows()) as unknown as { designation: string; status?: string; extra?: object }[]
  expect(rows.find(({ designation }) => designation === "Cook")?.status).toBeUndefined()
  // The API shows the values like those of other programs.
  expect(Object.values(rows.find(({ designation }) => designation === "Cook")?.extra ?? {}).toSorted()).toEqual([12, "near the lake"])
})

test("columns are renamed, moved, resized, deleted and restored", async ({ cfo, ceo }) => {
  const { page } = cfo
  await addColumn(cfo, "Notes")
  await addColumn(cfo, "Grade")
  await type(cfo, "Cook", "Notes", "speaks French")
  const dialog = await openColumns(cfo)
  await dialog.getByRole("button", { name: "Change Grade" }).click()
  const form = page.getByRole("dialog", { name: "Change the column “Grade”" })
  await form.getByLabel("Name").fill("notes")
  await form.getByRole("button", { name: "Save" }).click()
  await expect(form.getByRole("alert")).toHaveText("There is a column named “notes”.")
  await form.getByLabel("Name").fill("Level")
  await form.getByRole("button", { name: "Save" }).click()
  await expect(heads(ceo).filter({ hasText: "Level" })).toHaveCount(1)

  // With the keyboard: the focus stays on the button while the column moves.
  await openColumns(cfo)
  const left = dialog.getByRole("button", { name: "Move Level to the left" })
  await left.focus()
  for (let step = 0; step < 6; step += 1) await page.keyboard.press("Enter")
  await expect(left).toBeFocused()
  await expect(left).toHaveAttribute("aria-disabled", "false")
  await page.keyboard.press("Enter")
  await expect(left).toHaveAttribute("aria-disabled", "true")
  await page.keyboard.press("Escape")
  await expect.poll(async () => (await titles(ceo)).slice(0, 3)).toEqual(["Designation", "Level", "Department"])

  const head = page.getByRole("columnheader").filter({ hasText: "Level" })
  const width = async () => (await head.boundingBox())?.width ?? 0
  const before = await width()
  await head.getByRole("button", { name: "Sort by Level" }).focus()
  for (let step = 0; step < 3; step += 1) await page.keyboard.press("Shift+ArrowRight")
  await expect.poll(width).toBeGreaterThan(before + 40)
  const widened = await width()
  await page.reload()
  await expect.poll(width).toBeCloseTo(widened, 0)
  await openColumns(cfo)
  await dialog.getByRole("button", { name: "Reset widths" }).click()
  await dialog.getByRole("button", { name: "Delete Notes" }).click()
  await expect(page.getByText("Deleted the column “Notes”. Its values are kept.")).toBeVisible()
  await expect(heads(ceo).filter({ hasText: "Notes" })).toHaveCount(0)
  await dialog.getByRole("button", { name: "Restore Notes" }).click()
  await expect(value(ceo, "Cook", "Notes")).toHaveText("speaks French")
  await page.keyboard.press("Escape")
  await expect.poll(width).toBeLessThan(widened - 20)
  // Undo goes back step by step, also behind the restoration.
  await page.locator("#list").focus()
  await page.keyboard.press("ControlOrMeta+z")
  await expect(heads(ceo).filter({ hasText: "Notes" })).toHaveCount(0)
  await page.keyboard.press("ControlOrMeta+z")
  await expect(value(ceo, "Cook", "Notes")).toHaveText("speaks French")

  // The history calls them by their names.
  await page.getByRole("button", { name: "History", exact: true }).click()
  const history = page.getByRole("dialog", { name: "History of the plan" })
  await expect(
    history
      .getByRole("listitem")
      .filter({ hasText: /Cook: Notes.*speaks French/ })
      .first(),
  ).toBeVisible()
  await expect(history.getByText("moved the column Level").first()).toBeVisible()
})

test("what is typed into a column that somebody deletes is kept", async ({ cfo, ceo }) => {
  const { page } = cfo
  await addColumn(cfo, "Notes")
  await cell(cfo, "Cook", "Notes").focus()
  await page.keyboard.type("speaks")
  const dialog = await openColumns(ceo)
  await dialog.getByRole("button", { name: "Delete Notes" }).click()
  await expect(heads(cfo).filter({ hasText: "Notes" })).toHaveCount(0)
  await expect(page.getByText("Notes of “Cook” changed.")).toBeVisible()
  // The focus is in the same row.
  await expect(cfo.cell("Cook", "designation")).toBeFocused()
  await dialog.getByRole("button", { name: "Restore Notes" }).click()
  await expect(value(ceo, "Cook", "Notes")).toHaveText("speaks")
})

for (const format of ["Excel", "CSV"] as const) {
  test(`an export as ${format} is imported again`, async ({ cfo, ceo }) => {
    const { page } = cfo
    await addColumn(cfo, "Due", "Date")
    await addColumn(cfo, "Grade", "Choice", ["Senior", "Junior"])
    await type(cfo, "Cook", "Due", "2027-06-15")
    await type(cfo, "Cook", "Grade", "Senior")
    const started = page.waitForEvent("download")
    await page.getByRole("button", { name: "Import or export" }).click()
    await page.getByRole("button", { name: `Export all as ${format}` }).click()
    const buffer = readFileSync(await (await started).path())
    if (format === "Excel") {
      const [sheet] = (await readXlsx(buffer)).sheets
      expect(sheet?.rows[0]).toEqual(expect.arrayContaining(["Due", "Grade"]))
      expect(sheet?.rows[1]?.[8]).toEqual(new Date("2027-06-15T00:00:00Z"))
    } else expect(buffer.toString()).toContain("createdAt,status,start,end,Due,Grade")

    const mimeType = format === "Excel" ? XLSX : "text/csv"
    const name = format === "Excel" ? "plan.xlsx" : "plan.csv"
    const open = async (content: Buffer) => {
      await page.getByRole("button", { name: "Import or export" }).click()
      await page.getByRole("button", { name: "Import a table…" }).click()
      const dialog = page.getByRole("dialog", { name: "Import positions" })
      await dialog.locator("input[type=file]").setInputFiles({ name, mimeType, buffer: content })
      return dialog
    }
    const unchanged = await open(buffer)
    await expect(unchanged.getByText("Nothing changes: all 3 positions equal the plan.")).toBeVisible()
    await unchanged.getByRole("button", { name: "Cancel" }).click()

    // Values that were changed meanwhile are brought back by the ids.
    await type(cfo, "Cook", "Grade", "Junior")
    await cell(cfo, "Cook", "Due").focus()
    await page.keyboard.press("Delete")
    const dialog = await open(buffer)
    await dialog.getByText(/^Columns: /).click()
    await expect(dialog.getByLabel("Import Grade as")).toContainText("Grade")
    await expect(dialog.getByRole("region", { name: "Changed positions" })).toContainText("Senior")
    await dialog.getByRole("button", { name: "Update 1 position" }).click()
    await expect(value(ceo, "Cook", "Grade")).toHaveText("Senior")
    await expect(value(ceo, "Cook", "Due")).toHaveText(/15.*2027/)
  })
}

test("columns that two people add offline both remain", async ({ cfo, ceo, server }) => {
  await whileOffline(server, [cfo, ceo], async () => {
    await addColumn(cfo, "Grade")
    await type(cfo, "Cook", "Grade", "A")
    await addColumn(ceo, "Cost centre")
    await type(ceo, "Cook", "Cost centre", "CC-1")
  })
  for (const user of [cfo, ceo]) {
    await expect(value(user, "Cook", "Grade")).toHaveText("A")
    await expect(value(user, "Cook", "Cost centre")).toHaveText("CC-1")
  }
  expect((await titles(cfo)).toSorted()).toEqual((await titles(ceo)).toSorted())

  // Two names, and two values of a cell, are conflicts under the names of the columns.
  await whileOffline(server, [cfo, ceo], async () => {
    for (const [user, title, text] of [
      [cfo, "Level", "B"],
      [ceo, "Band", "C"],
    ] as const) {
      await type(user, "Waiter", "Grade", text)
      await (await openColumns(user)).getByRole("button", { name: "Change Grade" }).click()
      const form = user.page.getByRole("dialog", { name: "Change the column “Grade”" })
      await form.getByLabel("Name").fill(title)
      await form.getByRole("button", { name: "Save" }).click()
    }
  })
  const review = cfo.page.getByRole("region", { name: "Needs review" })
  await expect(review.getByText(/^Name of the column (Level|Band): conflicting values\.$/)).toBeVisible()
  await review.getByRole("button", { name: /the values of Name of the column/ }).click()
  await cfo.page.getByRole("button", { name: /^(Keep|Use) this: Level$/ }).click()
  await expect(heads(ceo).filter({ hasText: "Level" })).toHaveCount(1)
  await review.getByRole("button", { name: "Compare the values of Level of Waiter" }).click()
  await cfo.page.getByRole("button", { name: /^(Keep|Use) this: C$/ }).click()
  await expect(value(ceo, "Waiter", "Level")).toHaveText("C")
  await expect(review).toHaveCount(0)
})

test("values that other programs write are shown, marked and kept", async ({ cfo, server }) => {
  await addColumn(cfo, "Seats", "Number")
  await type(cfo, "Cook", "Seats", "3")
  const client = await Client.open(server)
  const [cook, waiter] = [client.id("Cook"), client.id("Waiter")]
  client.handle.change((doc) => {
    const [key = ""] = Object.keys(doc.columns as object)
    Object.assign(doc.positions[cook] as object, { [key]: "three" })
    Object.assign(doc.positions[waiter] as object, { [key]: 4 })
  })
  await expect(cell(cfo, "Cook", "Seats")).toHaveAccessibleName("Seats: three, not a number")
  await expect(value(cfo, "Waiter", "Seats")).toHaveText("4")
  await client.close()
  await cfo.set("Cook", "location", "Bonn")
  await expect(cell(cfo, "Cook", "Seats")).toHaveAccessibleName("Seats: three, not a number")
})

test("dialogs and heads of columns are accessible", async ({ cfo }) => {
  const { page } = cfo
  await addColumn(cfo, "Grade", "Choice", ["Senior", "Junior"])
  await addColumn(cfo, "Due", "Date")
  const isClean = async (view: string) => {
    const { violations } = await new AxeBuilder({ page })
      .withTags(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"])
      .analyze()
    expect(
      violations.map(({ id, nodes }) => [id, nodes[0]?.html]),
      view,
    ).toEqual([])
  }
  await isClean("the list")
  await cell(cfo, "Cook", "Grade").focus()
  await page.keyboard.press("F2")
  await isClean("the options of a choice")
  await page.keyboard.press("Escape")
  const dialog = await openColumns(cfo)
  await dialog.getByRole("button", { name: "Delete Due" }).click()
  await isClean("the columns")
  await dialog.getByRole("button", { name: "Change Grade" }).click()
  await isClean("a column")
})
