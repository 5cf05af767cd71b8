/** Two users edit one plan. */
import { expect, type Person, test, whileOffline } from "./support/plan"

test("additions, edits and deletions reach the other user", async ({ server, ceo, cfo }) => {
  await ceo.add("Astronomer", "Engineering", "42.5", "Pune")
  await expect(cfo.cell("Astronomer", "budget")).toHaveText("42.5")

  await cfo.set("Astronomer", "budget", "40")
  await expect(ceo.cell("Astronomer", "budget")).toHaveText("40")

  await ceo.remove("Astronomer")
  await expect(cfo.row("Astronomer")).toHaveCount(0)

  await ceo.undo()
  await expect(cfo.cell("Astronomer", "budget")).toHaveText("40")
  await ceo.expectSync("live", 0)
  await cfo.expectSync("live", 0)
  expect((await server.rows()).filter((row) => row.designation === "Astronomer")).toMatchObject([
    { department: "Engineering", budget: 40, location: "Pune" },
  ])
})

test("totals and charts follow remote edits", async ({ ceo, cfo }) => {
  const used = cfo.page.locator(".figures dd").nth(1)
  await expect(used).toHaveText("₹1,254 lakh")
  await ceo.add("Chief of Staff", "Office of the CEO", "46", "Mumbai")
  await expect(used).toHaveText("₹1,300 lakh")
  await expect(cfo.page.getByRole("button", { name: /Office of the CEO/ })).toContainText("46")
})

test("concurrent edits of a cell show both values", async ({ server, ceo, cfo }) => {
  await whileOffline(server, [ceo, cfo], async () => {
    await ceo.set("Head of Design", "budget", "45")
    await cfo.set("Head of Design", "budget", "31")
  })

  for (const { page } of [ceo, cfo]) {
    await page.getByRole("button", { name: "Budget of Head of Design: 2 conflicting values" }).click()
    const dialog = page.getByRole("dialog")
    await expect(dialog.locator(".choice-value")).toHaveCount(2)
    expect((await dialog.locator(".choice-value").allTextContents()).sort()).toEqual(["31", "45"])
    await expect(dialog.getByText(/^CEO, /)).toBeVisible()
    await expect(dialog.getByText(/^CFO, /)).toBeVisible()
  }
  const [row] = (await server.rows()).filter((found) => found.designation === "Head of Design")
  expect([row?.budget, ...(row?.conflicts?.budget ?? [])].sort()).toEqual([31, 45])

  await cfo.page
    .getByRole("listitem")
    .filter({ hasText: "45" })
    .getByRole("button", { name: /(Keep|Use) this: 45/ })
    .click()
  await expect(ceo.page.getByText("This conflict is resolved.")).toBeVisible()
  await ceo.page.getByRole("button", { name: "Close" }).click()
  for (const user of [ceo, cfo]) {
    await expect(user.cell("Head of Design", "budget")).toHaveText("45")
    await expect(user.page.getByRole("button", { name: /2 conflicting values/ })).toHaveCount(0)
  }
  await cfo.expectSync("live", 0)
  const [resolved] = (await server.rows()).filter((found) => found.designation === "Head of Design")
  expect(resolved).toMatchObject({ budget: 45 })
  expect(resolved?.conflicts).toBeUndefined()
})

test("concurrent totals show both values", async ({ server, ceo, cfo }) => {
  const total = async ({ page }: Person, value: string) => {
    await page.getByRole("button", { name: "Change", exact: true }).click()
    await page.getByLabel("Total budget").fill(value)
    await page.getByRole("button", { name: "Save" }).click()
  }
  await whileOffline(server, [ceo, cfo], async () => {
    await total(ceo, "3,000")
    await total(cfo, "1,500")
  })
  for (const { page } of [ceo, cfo]) {
    await page.getByRole("button", { name: "Compare the values of Total budget of the plan" }).click()
    await expect(page.getByRole("dialog").locator(".choice-value")).toHaveCount(2)
    await expect(page.getByRole("dialog").getByText(/^CEO, /)).toBeVisible()
    await expect(page.getByRole("dialog").getByText(/^CFO, /)).toBeVisible()
  }
  // Keeping the shown value changes nothing visible except that the conflict disappears.
  const kept = (await cfo.page.locator(".figures dd").first().textContent()) ?? ""
  await cfo.page.getByRole("button", { name: "Keep this" }).click()
  await expect(ceo.page.getByText("This conflict is resolved.")).toBeVisible()
  for (const user of [ceo, cfo]) {
    await user.expectSync("live", 0)
    await expect(user.page.locator(".figures dd").first()).toHaveText(kept)
    await expect(user.page.getByText(/needs? review/)).toHaveCount(0)
  }
})

test("a total set while editing becomes a conflict", async ({ ceo, cfo }) => {
  await ceo.page.getByRole("button", { name: "Change", exact: true }).click()
  await ceo.page.getByLabel("Total budget").fill("3,000")
  await cfo.page.getByRole("button", { name: "Change", exact: true }).click()
  await cfo.page.getByLabel("Total budget").fill("1,500")
  await cfo.page.getByRole("button", { name: "Save" }).click()
  await expect(ceo.page.locator(".figures dd").first()).toContainText("₹1,500 lakh")
  await ceo.page.getByRole("button", { name: "Save" }).click()
  for (const { page } of [ceo, cfo]) {
    await page.getByRole("button", { name: "Compare the values of Total budget of the plan" }).click()
    await expect(page.getByRole("dialog").locator(".choice-value")).toHaveCount(2)
  }
})

test("a discarded edit is listed and can be restored", async ({ server, ceo, cfo }) => {
  await whileOffline(server, [ceo, cfo], async () => {
    await ceo.remove("Payroll Analyst")
    await cfo.set("Payroll Analyst", "location", "Chennai")
  })

  for (const { page } of [ceo, cfo]) {
    const item = page.getByRole("region", { name: "Needs review" }).getByRole("listitem")
    await expect(item).toContainText("Payroll Analyst: CFO set location to Chennai")
    await expect(item).toContainText("while CEO deleted the position")
  }
  await ceo.page.getByRole("button", { name: "Restore Payroll Analyst" }).click()
  for (const user of [ceo, cfo]) {
    await expect(user.cell("Payroll Analyst", "location")).toHaveText("Chennai")
    await expect(user.page.getByRole("region", { name: "Needs review" })).toHaveCount(0)
  }
  await ceo.expectSync("live", 0)
  expect((await server.rows()).filter((row) => row.designation === "Payroll Analyst")).toMatchObject([{ budget: 14, location: "Chennai" }])
})

test("a discarded edit is listed after Undo of the deletion", async ({ server, ceo, cfo }) => {
  await whileOffline(server, [ceo, cfo], async () => {
    await ceo.remove("Payroll Analyst")
    await ceo.undo()
    await cfo.set("Payroll Analyst", "budget", "19")
  })

  for (const user of [ceo, cfo]) {
    await expect(user.cell("Payroll Analyst", "budget")).toHaveText("14")
    const item = user.page.getByRole("region", { name: "Needs review" }).getByRole("listitem")
    await expect(item).toContainText("Payroll Analyst: CFO set budget to 19")
    await expect(item).toContainText("It was restored with 14.")
  }
  await ceo.page.getByRole("button", { name: "Use 19 as Budget of Payroll Analyst" }).click()
  for (const user of [ceo, cfo]) {
    await expect(user.cell("Payroll Analyst", "budget")).toHaveText("19")
    await expect(user.page.getByRole("region", { name: "Needs review" })).toHaveCount(0)
  }
})

test("a draft survives the deletion of its position", async ({ ceo, cfo }) => {
  await cfo.cell("QA Engineer", "budget").focus()
  await cfo.page.keyboard.press("F2")
  await cfo.page.keyboard.press("ControlOrMeta+a")
  await cfo.page.keyboard.type("11")
  await ceo.remove("QA Engineer")
  const item = cfo.page.getByRole("region", { name: "Needs review" }).getByRole("listitem")
  await expect(item).toContainText("QA Engineer: deleted by somebody else while you were entering “11” as the budget.")
  // The draft survives a reload.
  await cfo.page.reload()
  await cfo.page.getByRole("button", { name: "Restore QA Engineer" }).click()
  await expect(ceo.cell("QA Engineer", "budget")).toHaveText("11")
  await expect(item).toHaveCount(0)
})

test("an invalid draft is kept and overwrites nothing", async ({ ceo, cfo }) => {
  await cfo.cell("QA Engineer", "budget").focus()
  await cfo.page.keyboard.type("eleven")
  await ceo.set("QA Engineer", "location", "Goa")
  await expect(cfo.cell("QA Engineer", "location")).toHaveText("Goa")
  await ceo.remove("QA Engineer")
  const item = cfo.page.getByRole("region", { name: "Needs review" }).getByRole("listitem")
  await expect(item).toContainText("entering “eleven” as the budget")
  await cfo.page.getByRole("button", { name: "Restore QA Engineer" }).click()
  await expect(ceo.cell("QA Engineer", "location")).toHaveText("Goa")
  await expect(item).toContainText("entering “eleven” as the budget. It was restored")
  await cfo.page.getByRole("button", { name: "Discard draft: QA Engineer" }).click()
  await expect(item).toHaveCount(0)
})

test("collaborators and their cells are shown", async ({ ceo, cfo }) => {
  const others = cfo.page.getByRole("list", { name: "Collaborators" })
  await expect(others.getByText("CEO")).toHaveCount(1)
  await ceo.cell("Office Manager", "budget").focus()
  await expect(cfo.cell("Office Manager", "budget").locator(".flag")).toHaveText("CEO")
  await ceo.cell("Office Manager", "location").focus()
  await expect(cfo.cell("Office Manager", "budget").locator(".flag")).toHaveCount(0)
  await expect(cfo.cell("Office Manager", "location").locator(".flag")).toHaveText("CEO")
  await ceo.page.close()
  await expect(others.getByText("CEO")).toHaveCount(0)
})

test("remote edits are highlighted, local edits are not", async ({ ceo, cfo }) => {
  await ceo.set("Office Manager", "budget", "9")
  await expect(cfo.cell("Office Manager", "budget").locator(".highlight")).toHaveCount(1)
  await expect(ceo.cell("Office Manager", "budget")).toHaveText("9")
  await expect(ceo.page.locator(".highlight")).toHaveCount(0)
})

test("opening a cell without typing changes nothing", async ({ server, ceo, cfo }) => {
  const opened = ceo.cell("Office Manager", "budget")
  await opened.focus()
  await ceo.page.keyboard.press("F2")
  await cfo.set("Office Manager", "budget", "20")
  await cfo.expectSync("live", 0)
  await expect(ceo.page.locator(".figures dd").nth(1)).toHaveText("₹1,266 lakh")
  await ceo.page.keyboard.press("Enter")
  await expect(opened).toHaveText("20")
  await ceo.expectSync("live", 0)
  expect((await server.rows()).find((row) => row.designation === "Office Manager")).toMatchObject({ budget: 20 })
})

test("typing during a remote edit makes a conflict", async ({ ceo, cfo }) => {
  await ceo.cell("Office Manager", "budget").focus()
  await ceo.page.keyboard.type("30")
  await cfo.set("Office Manager", "budget", "20")
  await expect(ceo.page.locator(".figures dd").nth(1)).toHaveText("₹1,266 lakh")
  await ceo.page.keyboard.press("Enter")
  for (const { page } of [ceo, cfo])
    await expect(page.getByRole("button", { name: "Budget of Office Manager: 2 conflicting values" })).toBeVisible()
})

test("a conflict that arrives while typing stays visible", async ({ server, ceo, cfo }) => {
  await ceo.expectSync("live", 0)
  await cfo.expectSync("live", 0)
  await server.kill()
  await ceo.expectSync("offline")
  await cfo.expectSync("offline")
  await cfo.set("Office Manager", "budget", "31")
  // Automerge shows the later of two concurrent writes, so the CEO's value is shown.
  for (const budget of ["43", "44", "45"]) await ceo.set("Office Manager", "budget", budget)
  await ceo.cell("Office Manager", "budget").focus()
  await ceo.page.keyboard.type("50")
  await server.up()
  await expect(ceo.page.getByText("1 item needs review")).toBeVisible()
  await ceo.page.keyboard.press("Enter")
  for (const user of [ceo, cfo]) {
    await expect(user.cell("Office Manager", "budget").locator(".value")).toHaveText("50")
    await user.page.getByRole("button", { name: "Budget of Office Manager: 2 conflicting values" }).click()
    await expect(user.page.getByRole("dialog").locator(".choice-value")).toHaveText(["50", "31"])
  }
})

test("an edit during a remote deletion is listed", async ({ server, ceo, cfo }) => {
  const { page } = ceo
  await ceo.cell("Office Manager", "budget").focus()
  await page.keyboard.type("50")
  // Remote changes render in the next animation frame, which never comes.
  await page.evaluate(() => {
    const page = window as unknown as { frame: typeof requestAnimationFrame }
    page.frame = window.requestAnimationFrame
    window.requestAnimationFrame = () => 0
  })
  await cfo.remove("Office Manager")
  await cfo.expectSync("live", 0)
  await expect.poll(async () => (await server.rows()).length).toBe(59)
  await page.evaluate(() => {
    window.requestAnimationFrame = (window as unknown as { frame: typeof requestAnimationFrame }).frame
  })
  await page.keyboard.press("Enter")
  for (const user of [ceo, cfo])
    await expect(user.page.getByRole("region", { name: "Needs review" })).toContainText("Office Manager: CEO set budget to 50")
})

test("Undo keeps a later edit of another user", async ({ ceo, cfo }) => {
  await ceo.set("Office Manager", "budget", "20")
  await expect(cfo.cell("Office Manager", "budget")).toHaveText("20")
  await cfo.set("Office Manager", "budget", "30")
  await expect(ceo.cell("Office Manager", "budget")).toHaveText("30")
  await ceo.undo()
  await expect(ceo.page.getByText("Somebody else has changed Budget of “Office Manager” since. It stays 30.")).toBeVisible()
  for (const user of [ceo, cfo]) {
    await expect(user.cell("Office Manager", "budget")).toHaveText("30")
    await expect(user.page.getByRole("button", { name: /conflicting values/ })).toHaveCount(0)
  }
})

test("the edited row stays in the filtered list", async ({ ceo, cfo }) => {
  await ceo.page.getByRole("combobox", { name: "Location" }).selectOption("Bengaluru")
  await ceo.cell("Head of Design", "budget").focus()
  await ceo.page.keyboard.type("41")
  await cfo.set("Head of Design", "location", "Chennai")
  await expect(ceo.cell("Head of Design", "location")).toHaveText("Chennai")
  await ceo.page.keyboard.press("Enter")
  await expect(cfo.cell("Head of Design", "budget").locator(".value")).toHaveText("41")
  // The row has left the list, and no cell is occupied.
  await expect(ceo.page.getByText("No positions match your filters.")).toBeVisible()
  await expect(cfo.cell("Head of Design", "budget").locator(".flag")).toHaveCount(0)
})
