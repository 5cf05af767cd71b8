/** Searching, sorting, selecting, and keyboard navigation. */
import { expect, test } from "./support/plan"

test("the list is searched, filtered, sorted and summed", async ({ cfo }) => {
  const { page } = cfo
  await page.getByRole("searchbox", { name: "Search positions" }).fill("engin pune")
  await expect(page.getByRole("row")).toHaveCount(2)
  await expect(page.locator(".found")).toContainText("1 of 60, 9 ₹ lakh")
  await page.getByRole("searchbox", { name: "Search positions" }).fill("nobody is called this")
  await page.getByRole("button", { name: "Clear filters" }).click()
  await page.getByRole("combobox", { name: "Location" }).selectOption("Bengaluru")
  await expect(page.getByRole("gridcell", { name: /^Designation/ })).toHaveText(["Head of Design"])
  await page.getByRole("combobox", { name: "Location" }).selectOption("")
  await page
    .getByRole("columnheader", { name: /Budget/ })
    .getByRole("button")
    .click()
  await expect(page.getByRole("columnheader", { name: /Budget/ })).toHaveAttribute("aria-sort", "descending")
  const budgets = (await page.getByRole("gridcell", { name: /^Budget/ }).allTextContents()).map((text) => Number(text.replaceAll(",", "")))
  expect(budgets).toEqual([...budgets].sort((one, other) => other - one))
})

test("the list is usable with the keyboard alone", async ({ cfo, ceo }) => {
  const { page } = cfo
  await page.keyboard.press("Tab")
  await expect(page.getByRole("link", { name: "Skip to the list" })).toBeFocused()
  await page.keyboard.press("Enter")
  await expect(page.locator("#list")).toBeFocused()
  // Past the checkbox and the column headers into the list.
  const headers = await page.getByRole("columnheader").getByRole("button").count()
  for (let tabs = 0; tabs < headers + 2; tabs += 1) await page.keyboard.press("Tab")
  await expect(cfo.cell("Office Manager", "designation")).toBeFocused()
  await page.keyboard.press("ArrowDown")
  await page.keyboard.press("ArrowRight")
  await page.keyboard.press("ArrowRight")
  await expect(cfo.cell("Head of Design", "budget")).toBeFocused()
  await page.keyboard.type("50")
  await page.keyboard.press("Tab")
  await page.keyboard.press("ControlOrMeta+a")
  await page.keyboard.type("Goa")
  await page.keyboard.press("Enter")
  await expect(ceo.cell("Head of Design", "budget")).toHaveText("50")
  await expect(ceo.cell("Head of Design", "location")).toHaveText("Goa")
  await page.keyboard.press("ControlOrMeta+End")
  await expect(page.locator(":focus")).toHaveAttribute("data-cell", /\/actions$/)
  await page.keyboard.press("ControlOrMeta+Home")
  await page.keyboard.press("ArrowRight")
  await page.keyboard.press(" ")
  await expect(page.getByText("1 selected, 8 ₹ lakh")).toBeVisible()
  await page.keyboard.press("ControlOrMeta+Backspace")
  await expect(ceo.row("Office Manager")).toHaveCount(0)
})

test("invalid input stays in the editor with a reason", async ({ server, cfo }) => {
  const { page } = cfo
  await cfo.cell("Office Manager", "budget").focus()
  await page.keyboard.type("a lot")
  await page.keyboard.press("Enter")
  await expect(page.getByRole("alert").filter({ hasText: "“a lot” is not an amount." })).toBeVisible()
  await page.keyboard.press("Escape")
  await expect(cfo.cell("Office Manager", "budget")).toHaveText("8")
  await cfo.set("Office Manager", "designation", " ")
  await expect(page.getByRole("alert").filter({ hasText: "A position needs a designation." })).toBeVisible()
  await page.keyboard.press("Escape")
  await page.getByRole("button", { name: "Add position" }).click()
  await page.getByRole("form").getByRole("button", { name: "Add", exact: true }).click()
  await expect(page.getByRole("form").getByText("A position needs a designation.")).toBeVisible()
  await expect(page.getByRole("form").getByLabel("Designation")).toBeFocused()
  expect(await server.rows()).toHaveLength(60)
})

test("several positions are deleted and restored together", async ({ cfo, ceo }) => {
  const { page } = cfo
  await page.getByRole("checkbox", { name: "Select Office Manager" }).check()
  await page.getByRole("checkbox", { name: "Select QA Engineer" }).click({ modifiers: ["Shift"] })
  await expect(page.getByText("3 selected, 55 ₹ lakh")).toBeVisible()
  await page.getByRole("button", { name: "Delete the selected positions" }).click()
  await expect(ceo.row("Head of Design")).toHaveCount(0)
  await cfo.undo()
  for (const name of ["Office Manager", "Head of Design", "QA Engineer"]) await expect(ceo.row(name)).toHaveCount(1)
})

test("keys in the header do not act on the active row", async ({ server, cfo }) => {
  const { page } = cfo
  await cfo.cell("Office Manager", "designation").focus()
  const all = page.getByRole("checkbox", { name: "Select all positions in the list" })
  await all.focus()
  await page.keyboard.press("Space")
  await expect(all).toBeChecked()
  await page.keyboard.press("Space")
  await expect(all).not.toBeChecked()
  await page
    .getByRole("columnheader", { name: /^Budget/ })
    .getByRole("button")
    .focus()
  await page.keyboard.press("Delete")
  await page.keyboard.press("x")
  await expect(page.getByRole("grid").getByRole("textbox")).toHaveCount(0)
  await expect(cfo.row("Office Manager")).toBeVisible()
  await cfo.expectSync("live", 0)
  expect(await server.rows()).toHaveLength(60)
})
