/** Views: in the address of the page, and saved in the plan. */
import { expectAccessible } from "./support/accessibility"
import { Client } from "./support/client"
import { expect, type Person, person, test, whileOffline } from "./support/plan"
import { Server } from "./support/server"

const viewsMenu = ({ page }: Person) => page.getByRole("button", { name: /Choose a view$/ })
const names = ({ page }: Person) => page.getByRole("gridcell", { name: /^Designation/ })
const viewInAddress = ({ page }: Person) => page.url().split("?")[1] ?? ""

async function saveView(user: Person, name: string): Promise<void> {
  await viewsMenu(user).click()
  await user.page.getByRole("button", { name: "Save the current view…" }).click()
  await user.page.getByRole("dialog", { name: "Save the view" }).getByLabel("Name").fill(name)
  await user.page.keyboard.press("Enter")
}

test("the view is in the address, and Back returns to the one before", async ({ cfo, browser }) => {
  const { page } = cfo
  await page.getByRole("combobox", { name: "Department" }).selectOption("HR")
  await page
    .getByRole("columnheader", { name: /Budget/ })
    .getByRole("button")
    .click()
  await page.getByRole("combobox", { name: "Group by" }).selectOption("location")
  await page.getByRole("searchbox").pressSequentially("dev")
  await expect.poll(() => viewInAddress(cfo)).toBe("search=dev&filter.department=hr&sort=-budget&group=location")
  const found = await names(cfo).allTextContents()
  expect(found.length).toBeGreaterThan(0)

  // A link shows the same positions to others.
  const other = await person(browser, "CEO")
  await other.open(page.url())
  await expect(names(other)).toHaveText(found)
  await expect(other.page.getByRole("searchbox")).toHaveValue("dev")
  await other.context.close()

  // What was typed is one step.
  await page.goBack()
  await expect(page.getByRole("searchbox")).toHaveValue("")
  await page.goBack()
  await expect(page.getByRole("combobox", { name: "Group by" })).toHaveValue("")
  await page.goBack()
  await expect(page.getByRole("columnheader", { name: /Budget/ })).toHaveAttribute("aria-sort", "none")
  await page.goBack()
  await expect(page.getByRole("combobox", { name: "Department" })).toHaveValue("")
  await page.goForward()
  await expect(page.getByRole("combobox", { name: "Department" })).toHaveValue("hr")
  await page.reload()
  await expect(page.getByRole("combobox", { name: "Department" })).toHaveValue("hr")
})

test("collapsed groups are part of the view", async ({ cfo }) => {
  const { page } = cfo
  await page.getByRole("combobox", { name: "Group by" }).selectOption("department")
  await page.getByRole("button", { name: /^Engineering/, expanded: true }).click()
  await expect.poll(() => viewInAddress(cfo)).toBe("group=department&collapsed=engineering")
  await page.reload()
  await expect(page.getByRole("button", { name: /^Engineering/, expanded: false })).toBeVisible()
})

test("views are saved, renamed, updated and deleted for everybody", async ({ cfo, ceo, server }) => {
  const { page } = cfo
  await page.getByRole("combobox", { name: "Group by" }).selectOption("department")
  await saveView(cfo, "By department")
  await expect(viewsMenu(cfo)).toHaveAccessibleName("View: By department. Choose a view")

  await viewsMenu(ceo).click()
  await ceo.page.getByRole("button", { name: "By department", exact: true }).click()
  await expect(ceo.page.locator(".group-row").first()).toBeVisible()
  await viewsMenu(ceo).click()
  await ceo.page.getByRole("button", { name: "Rename By department" }).click()
  await ceo.page.getByRole("dialog").getByLabel("Name").fill("Departments")
  await ceo.page.keyboard.press("Enter")
  await expect(viewsMenu(cfo)).toHaveAccessibleName("View: Departments. Choose a view")

  await page.getByRole("combobox", { name: "Location" }).selectOption("Pune")
  await expect(viewsMenu(cfo)).toHaveAccessibleName("View: unnamed. Choose a view")
  await viewsMenu(cfo).click()
  await page.getByRole("button", { name: "Update Departments to the current view" }).click()
  await expect(viewsMenu(cfo)).toHaveAccessibleName("View: Departments. Choose a view")
  const program = await Client.open(server)
  const saved = () => Object.values(JSON.parse(JSON.stringify(program.handle.doc().views ?? {}))) as Record<string, unknown>[]
  await expect.poll(saved).toMatchObject([{ name: "Departments", view: "filter.location=pune&group=department", by: "CFO" }])

  await viewsMenu(cfo).click()
  await page.getByRole("button", { name: "Delete Departments" }).click()
  await expect.poll(saved).toEqual([])
  await cfo.undo()
  await expect.poll(saved).toMatchObject([{ name: "Departments" }])
  await viewsMenu(cfo).click()
  await page.getByRole("button", { name: "All positions" }).click()
  await expect(page.locator(".group-row")).toHaveCount(0)
  await program.close()
})

test("views saved offline by two people are both kept", async ({ server, cfo, ceo }) => {
  await whileOffline(server, [ceo, cfo], async () => {
    await cfo.page.getByRole("combobox", { name: "Group by" }).selectOption("location")
    await saveView(cfo, "Places")
    await ceo.page.getByRole("combobox", { name: "Group by" }).selectOption("department")
    await saveView(ceo, "Departments")
  })
  for (const user of [cfo, ceo]) {
    await viewsMenu(user).click()
    await expect(user.page.getByRole("list", { name: "Views" }).locator(".view-title")).toHaveText(["Departments", "Places"])
    await user.page.keyboard.press("Escape")
  }
  // Two names for one view are a conflict.
  await whileOffline(server, [ceo, cfo], async () => {
    for (const [user, name] of [
      [cfo, "Cities"],
      [ceo, "Offices"],
    ] as const) {
      await viewsMenu(user).click()
      await user.page.getByRole("button", { name: "Rename Places" }).click()
      await user.page.getByRole("dialog").getByLabel("Name").fill(name)
      await user.page.keyboard.press("Enter")
    }
  })
  const compare = cfo.page.getByRole("button", { name: /^Compare the values of Name of the view/ })
  await compare.click()
  await cfo.page.getByRole("button", { name: /(Keep|Use) this: Offices$/ }).click()
  await expect(compare).toHaveCount(0)
  await expect(viewsMenu(cfo)).toHaveAccessibleName("View: Offices. Choose a view")
})

test("a server with accounts accepts shared maps from two users", async ({ browser }) => {
  const password = "correct horse battery"
  const server = await Server.start()
  await server.kill()
  for (const name of ["ceo", "cfo"]) server.addUser(name, name === "ceo" ? "owner" : "editor", password)
  server.flags.push("--auth", server.auth)
  await server.up()
  const users: Person[] = []
  for (const name of ["ceo", "cfo"]) {
    const user = await person(browser, "", { serviceWorkers: "block" })
    await user.page.goto(server.url)
    await user.page.getByLabel("Username or email").fill(name)
    await user.page.getByLabel("Password").fill(password)
    await user.page.getByRole("button", { name: "Log in" }).click()
    users.push(user)
  }
  const [ceo, cfo] = users as [Person, Person]
  await whileOffline(server, users, async () => {
    for (const [user, department] of [
      [ceo, "HR"],
      [cfo, "Sales"],
    ] as const) {
      await user.page.getByRole("button", { name: "Set budgets" }).click()
      await user.page.getByRole("dialog").getByLabel(department, { exact: true }).fill("500")
      await user.page.getByRole("dialog").getByRole("button", { name: "Save" }).click()
      await saveView(user, `View of ${department}`)
    }
  })
  for (const user of users) {
    await expect(user.page.getByText("of 500, 191 left")).toBeVisible()
    await expect(user.page.getByText("of 500, 276 left")).toBeVisible()
    await viewsMenu(user).click()
    await expect(user.page.getByRole("list", { name: "Views" }).locator(".view-title")).toHaveText(["View of HR", "View of Sales"])
    await user.expectSync("live", 0)
  }
  for (const user of users) await user.context.close()
  await server.close()
})

for (const width of [1280, 390]) {
  test(`groups, views and dialogs are accessible: ${width} px`, async ({ server, browser }) => {
    test.slow()
    const cfo = await person(browser, "CFO", { viewport: { width, height: 860 } })
    const { page } = cfo
    await cfo.open(server.url)
    // On phones, charts and filters are closed at first.
    for (const name of width < 500 ? ["Charts", "Filters and views"] : []) await page.getByRole("button", { name }).click()
    await page.getByRole("button", { name: "Set budgets" }).click()
    await page.getByRole("dialog").getByLabel("HR", { exact: true }).fill("100")
    await expectAccessible(page, "department budgets")
    await page.getByRole("dialog").getByRole("button", { name: "Save" }).click()
    await page.getByRole("combobox", { name: "Group by" }).selectOption("department")
    await page.getByRole("button", { name: /^Engineering/, expanded: true }).click()
    await expectAccessible(page, "groups")
    await viewsMenu(cfo).click()
    await expectAccessible(page, "the menu of views")
    await page.getByRole("button", { name: "Save the current view…" }).click()
    await expectAccessible(page, "the name of a view")
    await page.keyboard.press("Escape")
    await page.getByRole("combobox", { name: "Location" }).selectOption("Ahmedabad")
    await page.evaluate(() => window.scrollTo(0, 1_500))
    await expect(page.getByRole("region", { name: "Budget figures" })).toBeVisible()
    await expectAccessible(page, "scrolled, with a filter")
    await page.getByRole("checkbox", { name: "Select all positions in the list" }).check()
    await page.getByRole("button", { name: "Edit the selected positions" }).click()
    await page.getByRole("dialog").getByLabel("Change", { exact: true }).selectOption("percent")
    await page
      .getByRole("dialog")
      .getByLabel(/^Percent/)
      .fill("5")
    await expectAccessible(page, "a bulk edit")
    await cfo.context.close()
  })
}
