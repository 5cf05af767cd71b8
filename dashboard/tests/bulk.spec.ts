/** Edits of many positions at once. */
import { expect, type Person, person, test, whileOffline } from "./support/plan"

const dialog = ({ page }: Person) => page.getByRole("dialog", { name: /^Edit / })
const toast = ({ page }: Person) => page.locator(".toast").last()

/** Selects the first rows with the keyboard, and opens the dialog. */
async function editFirstRows(user: Person, count: number): Promise<void> {
  const { page } = user
  await user.cell("Office Manager", "budget").focus()
  for (let at = 1; at < count; at += 1) await page.keyboard.press("Shift+ArrowDown")
  await page.keyboard.press(" ")
  await page.getByRole("button", { name: "Edit the selected positions" }).click()
}

test("budgets are raised by a percentage, with a preview and one undo", async ({ cfo, ceo }) => {
  const { page } = cfo
  await cfo.cell("QA Engineer", "budget").focus()
  await page.keyboard.press("Delete")
  await editFirstRows(cfo, 3)
  await expect(dialog(cfo)).toContainText("Edit 3 positions")
  await dialog(cfo).getByLabel("Change", { exact: true }).selectOption("Raise budgets by a percentage")
  await dialog(cfo)
    .getByLabel(/^Percent/)
    .fill("7.5")
  await expect(dialog(cfo)).toContainText(/Sum of these positions\s*46\s*→becomes 49.45/)
  await expect(dialog(cfo)).toContainText("Results are rounded to multiples of 0.01 ₹ lakh, halves up.")
  await expect(dialog(cfo)).toContainText("Budget of “QA Engineer”: It is unknown.")
  await dialog(cfo).getByLabel("Round results to").selectOption("multiples of 1")
  await expect(dialog(cfo)).toContainText(/Sum of these positions\s*46\s*→becomes 50/)
  await dialog(cfo).getByRole("button", { name: "Change 2 positions" }).click()
  await expect(toast(cfo)).toContainText("Changed 2 cells. 1 value was refused. Budget of “QA Engineer”: It is unknown.")
  await expect(ceo.value("Office Manager", "budget")).toHaveText("9")
  await expect(ceo.value("Head of Design", "budget")).toHaveText("41")
  await expect(ceo.value("QA Engineer", "budget")).toHaveText("—")
  await page.keyboard.press("ControlOrMeta+z")
  await expect(toast(cfo)).toContainText("Undid bulk edit of 2 cells.")
  await expect(ceo.value("Office Manager", "budget")).toHaveText("8")
  await expect(ceo.value("Head of Design", "budget")).toHaveText("38")
})

test("a field of many positions is set to one value", async ({ cfo, ceo }) => {
  const { page } = cfo
  await editFirstRows(cfo, 3)
  await expect(dialog(cfo).getByRole("button", { name: "Change", exact: true })).toBeDisabled()
  await dialog(cfo).getByLabel("New value").fill("Growth")
  await expect(dialog(cfo)).toContainText("Department of “Head of Design”")
  await page.keyboard.press("Enter")
  await expect(dialog(cfo)).toHaveCount(0)
  for (const name of ["Office Manager", "Head of Design", "QA Engineer"]) await expect(ceo.value(name, "department")).toHaveText("Growth")

  await page.getByRole("button", { name: "Edit the selected positions" }).click()
  await dialog(cfo).getByLabel("Change", { exact: true }).selectOption("Set status")
  await dialog(cfo).getByLabel("New value").selectOption("Open")
  await dialog(cfo).getByRole("button", { name: "Change 3 positions" }).click()
  await expect(ceo.value("QA Engineer", "status")).toHaveText("Open")

  await page.getByRole("button", { name: "Edit the selected positions" }).click()
  await dialog(cfo).getByLabel("Change", { exact: true }).selectOption("Set start")
  await dialog(cfo).getByLabel("New value").fill("Nov 2027")
  await dialog(cfo).getByRole("button", { name: "Change 3 positions" }).click()
  await page.getByRole("button", { name: "Edit the selected positions" }).click()
  await dialog(cfo).getByLabel("Change", { exact: true }).selectOption("Shift start and end by months")
  await dialog(cfo)
    .getByLabel(/^Months/)
    .fill("3")
  await dialog(cfo).getByRole("button", { name: "Change 3 positions" }).click()
  await expect(ceo.value("QA Engineer", "start")).toHaveText("Feb 2028")
})

test("a bulk edit keeps what others change offline, as conflicts", async ({ cfo, ceo, server }) => {
  await whileOffline(server, [ceo, cfo], async () => {
    await ceo.set("Head of Design", "budget", "50")
    await editFirstRows(cfo, 2)
    await dialog(cfo).getByLabel("Change", { exact: true }).selectOption("Raise budgets by an amount")
    await dialog(cfo)
      .getByLabel(/^Amount/)
      .fill("2")
    await dialog(cfo).getByRole("button", { name: "Change 2 positions" }).click()
  })
  await expect(ceo.value("Office Manager", "budget")).toHaveText("10")
  await expect(cfo.cell("Head of Design", "budget").getByRole("button", { name: /conflicting values/ })).toBeVisible()
  // A raise of the shown value would discard the other one.
  await cfo.page.getByRole("button", { name: "Edit the selected positions" }).click()
  await dialog(cfo).getByLabel("Change", { exact: true }).selectOption("Raise budgets by an amount")
  await dialog(cfo)
    .getByLabel(/^Amount/)
    .fill("-20")
  await expect(dialog(cfo)).toContainText("Budget of “Office Manager”: A budget cannot be negative.")
  await expect(dialog(cfo)).toContainText("Budget of “Head of Design”: Several people have set it. Choose a value first.")
  await expect(dialog(cfo).getByRole("button", { name: "Change", exact: true })).toBeDisabled()
})

test("selected cells are edited from the palette", async ({ browser, server, ceo }) => {
  const cfo = await person(browser, "CFO")
  await cfo.open(server.url)
  const { page } = cfo
  await cfo.cell("Office Manager", "location").focus()
  await page.keyboard.press("Shift+ArrowDown")
  await page.keyboard.press("ControlOrMeta+k")
  await page.keyboard.type("edit the selected")
  await page.keyboard.press("Enter")
  await expect(dialog(cfo)).toContainText("Edit 2 positions")
  await dialog(cfo).getByLabel("Change", { exact: true }).selectOption("Set location")
  await dialog(cfo).getByLabel("New value").fill("Kochi")
  await dialog(cfo).getByRole("button", { name: "Change 2 positions" }).click()
  await expect(ceo.value("Head of Design", "location")).toHaveText("Kochi")
  await cfo.context.close()
})
