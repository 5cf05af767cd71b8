/** The command palette, and the keys of the page. */
import { expect, type Person, test } from "./support/plan"

const palette = ({ page }: Person) => page.getByRole("dialog", { name: "Commands" })

async function run(user: Person, text: string): Promise<void> {
  await user.page.keyboard.press("ControlOrMeta+k")
  await expect(palette(user).getByRole("combobox")).toBeFocused()
  await user.page.keyboard.type(text)
  await user.page.keyboard.press("Enter")
  await expect(palette(user)).toHaveCount(0)
}

test("commands run from the palette without the mouse", async ({ cfo, ceo }) => {
  const { page } = cfo
  await cfo.cell("Office Manager", "budget").focus()
  await run(cfo, "add pos")
  await expect(page.getByRole("form", { name: "New position" }).getByLabel("Designation")).toBeFocused()
  await page.keyboard.press("Escape")
  await cfo.set("Office Manager", "budget", "20")
  await run(cfo, "undo")
  await expect(ceo.cell("Office Manager", "budget")).toHaveText("8")
  await run(cfo, "redo")
  await expect(ceo.cell("Office Manager", "budget")).toHaveText("20")
  await run(cfo, "filter location beng")
  await expect(page.getByRole("gridcell", { name: /^Designation/ })).toHaveText(["Head of Design"])
  await run(cfo, "clear search")
  await expect(cfo.row("Office Manager")).toBeVisible()
  await run(cfo, "settings")
  await expect(page.getByRole("dialog", { name: "Plan settings" })).toBeVisible()
  await page.keyboard.press("Escape")
  await run(cfo, "dark")
  await expect(page.locator("html")).toHaveAttribute("data-theme", "dark")

  // Arrows choose a command, and a text that names none is searched for.
  await page.keyboard.press("ControlOrMeta+k")
  const options = palette(cfo).getByRole("option")
  await expect(options.first()).toHaveAttribute("aria-selected", "true")
  await page.keyboard.press("ArrowDown")
  await expect(options.nth(1)).toHaveAttribute("aria-selected", "true")
  await page.keyboard.press("ArrowUp")
  await page.keyboard.press("ArrowUp")
  await expect(options.last()).toHaveAttribute("aria-selected", "true")
  await page.keyboard.type("head of des")
  await expect(options).toHaveText(["Search positions for “head of des”"])
  await page.keyboard.press("Enter")
  await expect(page.locator(".found")).toContainText("1 of 60")
})

test("keys search, and list themselves", async ({ cfo }) => {
  const { page } = cfo
  await cfo.cell("Office Manager", "location").focus()
  await page.keyboard.press("/")
  await expect(page.getByRole("searchbox", { name: "Search positions" })).toBeFocused()
  await page.keyboard.type("a/b?")
  await expect(page.getByRole("searchbox")).toHaveValue("a/b?")
  await page.getByRole("searchbox").fill("")
  await cfo.cell("Office Manager", "location").focus()
  await page.keyboard.press("?")
  await expect(page.getByRole("dialog", { name: "Keyboard shortcuts" })).toContainText("Fill down")
  await page.keyboard.press("ControlOrMeta+k")
  await expect(palette(cfo)).toHaveCount(0)
  await page.keyboard.press("Escape")
  await expect(cfo.cell("Office Manager", "location")).toBeFocused()
  // While a cell is edited, these are letters.
  await page.keyboard.press("F2")
  await page.keyboard.type("/?")
  await page.keyboard.press("Enter")
  await expect(cfo.cell("Office Manager", "location")).toHaveText("/?")
})
