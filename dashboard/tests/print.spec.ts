/** What is printed: a summary, and all rows that match the filter. */

import { LARGE_PLAN } from "./support/large"
import { expect, type Person, person, test, whileOffline } from "./support/plan"
import { Server } from "./support/server"

/** Prints to PDF. Returns the number of pages. */
async function print({ page }: Person): Promise<number> {
  const pdf = await page.pdf({ format: "A4" })
  return (pdf.toString("latin1").match(/\/Type \/Page\b/g) ?? []).length
}

const pages = ({ page }: Person) => page.locator("body > .print")
const summary = (user: Person) => pages(user).locator(".print-summary")
const list = (user: Person) => pages(user).locator("table.print-table")

test("the whole plan is printed with its figures", async ({ cfo }) => {
  await expect(pages(cfo)).toHaveCount(0)
  expect(await print(cfo)).toBe(3)
  await expect(summary(cfo)).toContainText("Growth 2027")
  await expect(summary(cfo)).toContainText("Amounts in ₹ lakh (INR × 1,00,000).")
  await expect(summary(cfo).locator(".print-figures")).toHaveText(
    /Total budget₹2,000 lakh.*Used₹1,254 lakh \(63 %\).*Left₹746 lakh.*Positions60.*Open conflictsnone/,
  )
  await expect(summary(cfo).getByRole("table", { name: "By department", includeHidden: true }).locator("tbody tr").first()).toHaveText(
    /^Engineering.*329.*26 %.*14$/,
  )
  await expect(list(cfo).locator("thead th")).toHaveText(["#", "Designation", "Department", "Budget ₹ lakh", "Location"])
  await expect(list(cfo).locator("tbody tr")).toHaveCount(61)
  await expect(list(cfo).locator("tbody tr").last()).toHaveText(/^Sum1,254$/)
  // The pages are gone once the user is back in the page.
  await cfo.page.keyboard.press("Shift")
  await expect(pages(cfo)).toHaveCount(0)
})

test("the filter is named, and limits rows and groups", async ({ cfo }) => {
  const { page } = cfo
  await page.getByLabel("Department", { exact: true }).selectOption("HR")
  await page.getByRole("searchbox").fill("an")
  await page
    .getByRole("button", { name: "Budget", exact: true })
    .or(page.getByRole("button", { name: /Sort.*budget/i }))
    .first()
    .click()
  expect(await print(cfo)).toBe(2)
  await expect(summary(cfo).locator(".print-filter")).toContainText(
    "Filter: Department: HR; Search: “an”. The figures above are of the whole plan.",
  )
  const shown = await page.getByRole("gridcell", { name: /^Designation/ }).allTextContents()
  const printed = await list(cfo).locator("tbody tr td:nth-child(2)").allTextContents()
  expect(printed.slice(0, shown.length)).toEqual(shown)
  await expect(summary(cfo).locator(".print-filter")).toContainText(`the matching positions only: ${shown.length} of 60, `)
  expect(shown.length).toBeGreaterThan(2)
  await expect(summary(cfo).getByRole("table", { name: "By department", includeHidden: true }).locator("tbody tr")).toHaveCount(1)
})

test("conflicts and optional fields are printed, in light colours", async ({ server, browser }) => {
  const dark = await person(browser, "CEO", { colorScheme: "dark" })
  const other = await person(browser, "CFO")
  for (const user of [dark, other]) await user.open(server.url)
  await whileOffline(server, [dark, other], async () => {
    await dark.set("Head of Design", "budget", "45")
    await other.set("Head of Design", "budget", "31")
  })
  await dark.set("Office Manager", "status", "approved")
  await dark.page.getByRole("button", { name: /^Account: / }).click()
  await dark.page.getByLabel("Dark").check()
  await dark.page.keyboard.press("Escape")
  await dark.page.emulateMedia({ media: "print", colorScheme: "dark" })
  await dark.page.evaluate(() => dispatchEvent(new Event("beforeprint")))
  await expect(summary(dark)).toContainText("Open conflicts1")
  await expect(list(dark).locator("tr", { hasText: "Head of Design" })).toContainText(/(45conflict, also 31|31conflict, also 45)/)
  await expect(list(dark).locator("thead th").filter({ hasText: "Status" })).toBeVisible()
  await expect(list(dark).locator("tr", { hasText: "Office Manager" })).toContainText("Approved")
  await expect(dark.page.getByRole("grid")).toBeHidden()
  const colours = await dark.page.evaluate(() => {
    const cell = document.querySelector(".print-table td") as Element
    return [getComputedStyle(document.body).backgroundColor, getComputedStyle(cell).color, getComputedStyle(cell).backgroundColor]
  })
  expect(colours).toEqual(["rgb(255, 255, 255)", "rgb(0, 0, 0)", "rgba(0, 0, 0, 0)"])
  await dark.context.close()
  await other.context.close()
})

test("print is a command of the menu and the palette", async ({ cfo }) => {
  const { page } = cfo
  await page.evaluate(() => {
    Object.assign(window, { prints: 0, print: () => Object.assign(window, { prints: Number(Reflect.get(window, "prints")) + 1 }) })
  })
  const prints = () => page.evaluate("prints")
  await page.getByRole("button", { name: /^Plan: / }).click()
  await page.getByRole("button", { name: "Print…" }).click()
  expect(await prints()).toBe(1)
  await page.keyboard.press("ControlOrMeta+k")
  await page.keyboard.type("pdf")
  await expect(page.getByRole("dialog", { name: "Commands" }).getByRole("option").first()).toHaveText("Print, or save as PDFCtrl+P")
  await page.keyboard.press("Enter")
  await expect.poll(prints).toBe(2)
})

test("all of 5,000 rows are printed", async ({ browser }) => {
  test.slow()
  const server = await Server.start({ rows: LARGE_PLAN })
  const cfo = await person(browser, "CFO")
  await cfo.open(server.url)
  expect(await print(cfo)).toBeGreaterThan(100)
  await expect(list(cfo).locator("tbody tr")).toHaveCount(5_001)
  await cfo.context.close()
  await server.close()
})
