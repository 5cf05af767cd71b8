/** A working session of a CFO with the keyboard alone, from pasted rows to a printed plan. */
import { paste } from "./support/clipboard"
import { command, countPointers, extendDown, goTo, press, tabTo } from "./support/keyboard"
import { expect, type Person, test } from "./support/plan"

const toast = ({ page }: Person) => page.locator(".toast").last()
const dialog = ({ page }: Person) => page.getByRole("dialog")
const bar = ({ page }: Person) => page.getByRole("region", { name: /^Scenario / })
const head = ({ page }: Person, name: string) => page.locator(".group-row").filter({ hasText: name })

const HIRES = 50
/** New positions as a spreadsheet copies them: in two formats, without a header. */
const ROWS = Array.from({ length: HIRES }, (_, at) => [`Hire ${at + 1}`, "Growth", `${at + 1}.00`, "Pune", "Proposed", "May 2027"])
const TEXT = `${ROWS.map((row) => row.join("\t")).join("\r\n")}\r\n`
const HTML = `<html xmlns:x="urn:schemas-microsoft-com:office:excel"><head><style>td {mso-number-format:General;}</style></head><body>
<!--StartFragment--><table border=0 cellpadding=0><col width=64>${ROWS.map(
  (row) => `<tr height=20>\n${row.map((cell, at) => `  <td${at === 2 ? " align=right" : ""} class=xl65>${cell}</td>`).join("\n")}</tr>`,
).join("\n")}</table><!--EndFragment--></body></html>`

test("a CFO works through a session without the mouse", async ({ server, ceo, cfo }) => {
  test.slow()
  const { page } = cfo
  const pointers = await countPointers(cfo)
  /** What the server has stored of a position; a colleague may have scrolled it away. */
  const expectStored = (name: string, fields: Record<string, unknown>) =>
    expect.poll(async () => (await server.rows()).find(({ designation }) => designation === name)).toMatchObject(fields)

  await test.step("sets the year, and pastes 50 rows below the last one", async () => {
    await command(cfo, "Change plan settings")
    await tabTo(cfo, dialog(cfo).getByLabel("First month of the year"))
    await page.keyboard.type("2027-04")
    await page.keyboard.press("Enter")
    await expect(dialog(cfo)).toHaveCount(0)
    await goTo(cfo, "Office Manager", "designation")
    await page.keyboard.press("ControlOrMeta+End")
    await page.keyboard.press("ArrowDown")
    await expect(page.getByRole("button", { name: "Add a position, or paste rows here" })).toBeFocused()
    await paste(page, { text: TEXT, html: HTML })
    await expect(toast(cfo)).toContainText("Added 50 positions.")
    await expect(cfo.cell("Hire 1", "designation")).toBeFocused()
    await expect(ceo.value("Hire 1", "start")).toHaveText("May 2027")
  })

  await test.step("corrects 10 budgets by pasting a range", async () => {
    await goTo(cfo, "Hire 1", "budget")
    await extendDown(cfo, 9)
    await paste(page, { text: "12\n".repeat(10) })
    await expect(toast(cfo)).toContainText("Pasted 10 cells.")
    await expectStored("Hire 10", { budget: 12 })
    await expectStored("Hire 11", { budget: 11 })
  })

  await test.step("fills a department down, then clears and fills other cells", async () => {
    await goTo(cfo, "Hire 1", "department")
    await page.keyboard.type("Platform")
    await page.keyboard.press("Enter")
    await expect(cfo.cell("Hire 2", "department")).toBeFocused()
    await page.keyboard.press("ArrowUp")
    await extendDown(cfo, 19)
    await page.keyboard.press("ControlOrMeta+d")
    await expect(toast(cfo)).toContainText("Filled 19 cells.")
    await goTo(cfo, "Hire 1", "location")
    await extendDown(cfo, 2)
    await page.keyboard.press("Delete")
    await expect(toast(cfo)).toContainText("Cleared 3 cells.")
    await goTo(cfo, "Hire 1", "start")
    await page.keyboard.type("Jul 2027")
    await page.keyboard.press("Enter")
    await page.keyboard.press("ArrowUp")
    await extendDown(cfo, 1)
    await page.keyboard.press("ControlOrMeta+d")
    await expect(toast(cfo)).toContainText("Filled 1 cell.")
    await expect(ceo.value("Hire 2", "start")).toHaveText("Jul 2027")
  })

  await test.step("undoes five steps and redoes two", async () => {
    for (const undone of ["filling of 1 cell", "edit of start", "clearing of 3 cells", "filling of 19 cells", "edit of department"]) {
      await page.keyboard.press("ControlOrMeta+z")
      await expect(toast(cfo)).toContainText(`Undid ${undone}`)
    }
    await expect(ceo.value("Hire 1", "department")).toHaveText("Growth")
    for (const redone of ["edit of department", "filling of 19 cells"]) {
      await page.keyboard.press("ControlOrMeta+Shift+z")
      await expect(toast(cfo)).toContainText(`Redid ${redone}`)
    }
    await expectStored("Hire 20", { department: "Platform" })
    await expectStored("Hire 21", { department: "Growth" })
    await expect(ceo.value("Hire 1", "location")).toHaveText("Pune")
    await expect(ceo.value("Hire 2", "start")).toHaveText("May 2027")
  })

  await test.step("groups by department, and sets budgets of departments", async () => {
    await command(cfo, "Group by department")
    await command(cfo, "Set department budgets")
    await tabTo(cfo, dialog(cfo).getByLabel("Platform", { exact: true }))
    await page.keyboard.type("3 crore")
    await tabTo(cfo, dialog(cfo).getByLabel("Growth", { exact: true }))
    await page.keyboard.type("=1000+50")
    await page.keyboard.press("Enter")
    await expect(dialog(cfo)).toHaveCount(0)
    await command(cfo, "Collapse all groups")
    await expect(head(cfo, "Platform")).toContainText("20 positions")
    await expect(head(cfo, "Platform")).toContainText("of 300, 25 left")
    await expect(head(cfo, "Growth")).toContainText("of 1,050")
    await command(cfo, "Remove the groups")
  })

  await test.step("tries a scenario, and moves three starts by a quarter", async () => {
    await cfo.expectSync("live", 0)
    await command(cfo, "Try a scenario")
    await expect(dialog(cfo).getByLabel("Name of the scenario")).toBeFocused()
    await page.keyboard.type("Later start")
    await page.keyboard.press("Enter")
    await expect(bar(cfo)).toHaveAccessibleName("Scenario “Later start” of Growth 2027")
    await goTo(cfo, "Hire 1", "start")
    await extendDown(cfo, 2)
    await page.keyboard.press(" ")
    await command(cfo, "Edit the selected positions")
    await expect(dialog(cfo).getByLabel("Change", { exact: true })).toBeFocused()
    await page.keyboard.type("Shift start")
    await tabTo(cfo, dialog(cfo).getByLabel(/^Months/))
    await page.keyboard.type("3")
    await page.keyboard.press("Enter")
    await expect(dialog(cfo)).toHaveCount(0)
    for (const name of ["Hire 1", "Hire 2", "Hire 3"]) await expect(cfo.value(name, "start")).toHaveText("Aug 2027")
    await cfo.expectSync("live", 0)
  })

  await test.step("sees the difference in the year, and a colleague’s edit", async () => {
    await ceo.set("Hire 2", "start", "Oct 2027")
    await ceo.set("Hire 4", "budget", "50")
    await ceo.expectSync("live", 0)
    await command(cfo, "Compare this scenario with the plan")
    await expect(dialog(cfo).getByRole("status").first()).toHaveText("The scenario changes: 3 positions changed. 1 conflict.")
    const months = dialog(cfo).getByRole("region", { name: "Cost by month" })
    await expect(months.getByRole("listitem")).toHaveText(["May 2027 −3", "Jun 2027 −3", "Jul 2027 −3", "In the year −9"])
    await expect(dialog(cfo)).toContainText("Changed only in the plan since (1)")
    await page.keyboard.press("Escape")
  })

  await test.step("merges, and settles the conflict", async () => {
    await command(cfo, "Merge this scenario into the plan")
    await expect(dialog(cfo)).toContainText("Hire 2: start Oct 2027 in the plan, Aug 2027 in the scenario")
    await press(cfo, dialog(cfo).getByRole("button", { name: "Merge", exact: true }))
    await expect(toast(cfo)).toContainText("Merged “Later start”: 3 positions changed. 1 conflict needs review.")
    await press(cfo, page.getByRole("button", { name: "Compare the values of Start of Hire 2" }))
    await press(cfo, dialog(cfo).getByRole("button", { name: /^(Keep|Use) this: Aug 2027$/ }))
    await expect(page.getByRole("region", { name: "Needs review" })).toHaveCount(0)
    for (const user of [ceo, cfo]) {
      await expect(user.value("Hire 2", "start")).toHaveText("Aug 2027")
      await expect(user.page.getByRole("region", { name: "Needs review" })).toHaveCount(0)
    }
  })

  await expectStored("Hire 4", { budget: 50, start: "2027-05" })
  await test.step("prints the plan", async () => {
    // The browser of the tests has no printer.
    await page.evaluate(() => Object.assign(window, { print: () => window.dispatchEvent(new Event("beforeprint")) }))
    await command(cfo, "Print, or save as PDF")
    const pages = page.locator("body > .print")
    await expect(pages).toContainText(/Positions110.*Open conflictsnone/)
    await expect(pages.locator("table.print-table tbody tr")).toHaveCount(111)
    await expect(pages.locator("table.print-table tr", { hasText: "Hire 2" }).first()).toContainText("Aug 2027")
    await expect(pages.locator("table.print-table tbody tr").last()).toContainText("2,632")
    await page.emulateMedia({ media: "print" })
    await expect(pages).toBeVisible()
    await page.emulateMedia({ media: null })
  })

  await cfo.expectSync("live", 0)
  const rows = await server.rows()
  const hires = rows.filter(({ designation }) => designation.startsWith("Hire "))
  expect(hires).toHaveLength(HIRES)
  expect(hires.filter(({ department }) => department === "Platform")).toHaveLength(20)
  expect(rows.filter(({ conflicts }) => conflicts !== undefined)).toEqual([])
  expect(await pointers()).toBe(0)
})
