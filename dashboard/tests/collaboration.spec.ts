/** Two people, one plan. */
import { expect, type Person, test, whileOffline } from "./support/plan"

test("what one adds, edits and deletes appears on the other side", async ({ server, ceo, cfo }) => {
  await ceo.add("Astronomer", "Engineering", "42.5", "Pune")
  await expect(cfo.cell("Astronomer", "budget")).toHaveText("42.5")

  await cfo.set("Astronomer", "budget", "40")
  await expect(ceo.cell("Astronomer", "budget")).toHaveText("40")

  await ceo.remove("Astronomer")
  await expect(cfo.row("Astronomer")).toHaveCount(0)

  await ceo.page.getByRole("button", { name: "Undo" }).click()
  await expect(cfo.cell("Astronomer", "budget")).toHaveText("40")
  await ceo.expectSync("live", 0)
  await cfo.expectSync("live", 0)
  expect((await server.rows()).filter((row) => row.designation === "Astronomer")).toMatchObject([
    { department: "Engineering", budget: 40, location: "Pune" },
  ])
})

test("totals and bars follow what others do", async ({ ceo, cfo }) => {
  const used = cfo.page.locator(".figures dd").nth(1)
  await expect(used).toHaveText("₹1,254 lakh")
  await ceo.add("Chief of Staff", "Office of the CEO", "46", "Mumbai")
  await expect(used).toHaveText("₹1,300 lakh")
  await expect(cfo.page.getByRole("button", { name: /Office of the CEO/ })).toContainText("46")
})

test("a cell that two people set at once shows both values to both, and settles", async ({ server, ceo, cfo }) => {
  await whileOffline(server, [ceo, cfo], async () => {
    await ceo.set("Head of Design", "budget", "45")
    await cfo.set("Head of Design", "budget", "31")
  })

  for (const { page } of [ceo, cfo]) {
    await page.getByRole("button", { name: "Budget of Head of Design: 2 values, compare" }).click()
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
    .getByRole("button", { name: /(Keep|Take) this: 45/ })
    .click()
  await expect(ceo.page.getByText("This is settled.")).toBeVisible()
  await ceo.page.getByRole("button", { name: "Close" }).click()
  for (const who of [ceo, cfo]) {
    await expect(who.cell("Head of Design", "budget")).toHaveText("45")
    await expect(who.page.getByRole("button", { name: /2 values/ })).toHaveCount(0)
  }
  await cfo.expectSync("live", 0)
  const [settled] = (await server.rows()).filter((found) => found.designation === "Head of Design")
  expect(settled).toMatchObject({ budget: 45 })
  expect(settled?.conflicts).toBeUndefined()
})

test("a total budget that two people set at once shows both values to both, and settles", async ({ server, ceo, cfo }) => {
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
  // The one that is shown already: of this change nothing is to be seen but that there is no other value any more.
  const kept = (await cfo.page.locator(".figures dd").first().textContent()) ?? ""
  await cfo.page.getByRole("button", { name: "Keep this" }).click()
  await expect(ceo.page.getByText("This is settled.")).toBeVisible()
  for (const who of [ceo, cfo]) {
    await who.expectSync("live", 0)
    await expect(who.page.locator(".figures dd").first()).toHaveText(kept)
    await expect(who.page.getByText("to look at")).toHaveCount(0)
  }
})

test("a total budget that somebody else sets while one types another is not overwritten unseen", async ({ ceo, cfo }) => {
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

test("an edit that a concurrent deletion swallowed is shown, and comes back when it is wanted", async ({ server, ceo, cfo }) => {
  await whileOffline(server, [ceo, cfo], async () => {
    await ceo.remove("Payroll Analyst")
    await cfo.set("Payroll Analyst", "location", "Chennai")
  })

  for (const { page } of [ceo, cfo]) {
    const told = page.getByRole("region", { name: "Changes to look at" }).getByRole("listitem")
    await expect(told).toContainText("Payroll Analyst: CFO set location to Chennai")
    await expect(told).toContainText("while CEO deleted the position")
  }
  await ceo.page.getByRole("button", { name: "Restore Payroll Analyst" }).click()
  for (const who of [ceo, cfo]) {
    await expect(who.cell("Payroll Analyst", "location")).toHaveText("Chennai")
    await expect(who.page.getByRole("region", { name: "Changes to look at" })).toHaveCount(0)
  }
  await ceo.expectSync("live", 0)
  expect((await server.rows()).filter((row) => row.designation === "Payroll Analyst")).toMatchObject([{ budget: 14, location: "Chennai" }])
})

test("an edit that a deletion swallowed is shown also if the deletion was undone", async ({ server, ceo, cfo }) => {
  await whileOffline(server, [ceo, cfo], async () => {
    await ceo.remove("Payroll Analyst")
    await ceo.page.getByRole("button", { name: "Undo" }).click()
    await cfo.set("Payroll Analyst", "budget", "19")
  })

  for (const who of [ceo, cfo]) {
    await expect(who.cell("Payroll Analyst", "budget")).toHaveText("14")
    const told = who.page.getByRole("region", { name: "Changes to look at" }).getByRole("listitem")
    await expect(told).toContainText("Payroll Analyst: CFO set budget to 19")
    await expect(told).toContainText("It is there again, with 14.")
  }
  await ceo.page.getByRole("button", { name: "Take 19 as Budget of Payroll Analyst" }).click()
  for (const who of [ceo, cfo]) {
    await expect(who.cell("Payroll Analyst", "budget")).toHaveText("19")
    await expect(who.page.getByRole("region", { name: "Changes to look at" })).toHaveCount(0)
  }
})

test("a position that is deleted while somebody types into it is not lost with what was typed", async ({ ceo, cfo }) => {
  await cfo.cell("QA Engineer", "budget").focus()
  await cfo.page.keyboard.press("F2")
  await cfo.page.keyboard.press("ControlOrMeta+a")
  await cfo.page.keyboard.type("11")
  await ceo.remove("QA Engineer")
  const told = cfo.page.getByRole("region", { name: "Changes to look at" }).getByRole("listitem")
  await expect(told).toContainText("QA Engineer: somebody deleted the position while you were typing “11” as its budget.")
  // Also tomorrow, in a new page.
  await cfo.page.reload()
  await cfo.page.getByRole("button", { name: "Restore QA Engineer" }).click()
  await expect(ceo.cell("QA Engineer", "budget")).toHaveText("11")
  await expect(told).toHaveCount(0)
})

test("what was typed into a deleted position is kept if it cannot be taken, and takes back nothing that others have set", async ({
  ceo,
  cfo,
}) => {
  await cfo.cell("QA Engineer", "budget").focus()
  await cfo.page.keyboard.type("eleven")
  await ceo.set("QA Engineer", "location", "Goa")
  await expect(cfo.cell("QA Engineer", "location")).toHaveText("Goa")
  await ceo.remove("QA Engineer")
  const told = cfo.page.getByRole("region", { name: "Changes to look at" }).getByRole("listitem")
  await expect(told).toContainText("typing “eleven” as its budget")
  await cfo.page.getByRole("button", { name: "Restore QA Engineer" }).click()
  await expect(ceo.cell("QA Engineer", "location")).toHaveText("Goa")
  await expect(told).toContainText("typing “eleven” as its budget. It is there again")
  await cfo.page.getByRole("button", { name: "Dismiss what you typed: QA Engineer" }).click()
  await expect(told).toHaveCount(0)
})

test("one sees who else is here, and in which cell", async ({ ceo, cfo }) => {
  const others = cfo.page.getByRole("list", { name: "Who else is here" })
  await expect(others.getByText("CEO")).toHaveCount(1)
  await ceo.cell("Office Manager", "budget").focus()
  await expect(cfo.cell("Office Manager", "budget").locator(".flag")).toHaveText("CEO")
  await ceo.cell("Office Manager", "location").focus()
  await expect(cfo.cell("Office Manager", "budget").locator(".flag")).toHaveCount(0)
  await expect(cfo.cell("Office Manager", "location").locator(".flag")).toHaveText("CEO")
  await ceo.page.close()
  await expect(others.getByText("CEO")).toHaveCount(0)
})

test("what others change glows, and what one changes oneself does not", async ({ ceo, cfo }) => {
  await ceo.set("Office Manager", "budget", "9")
  await expect(cfo.cell("Office Manager", "budget").locator(".highlight")).toHaveCount(1)
  await expect(ceo.cell("Office Manager", "budget")).toHaveText("9")
  await expect(ceo.page.locator(".highlight")).toHaveCount(0)
})

test("who only looks into a cell changes nothing, whatever others do meanwhile", async ({ server, ceo, cfo }) => {
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

test("who types while somebody else sets the same cell makes a conflict, and takes nothing away", async ({ ceo, cfo }) => {
  await ceo.cell("Office Manager", "budget").focus()
  await ceo.page.keyboard.type("30")
  await cfo.set("Office Manager", "budget", "20")
  await expect(ceo.page.locator(".figures dd").nth(1)).toHaveText("₹1,266 lakh")
  await ceo.page.keyboard.press("Enter")
  for (const { page } of [ceo, cfo])
    await expect(page.getByRole("button", { name: "Budget of Office Manager: 2 values, compare" })).toBeVisible()
})

test("a conflict that arrives while somebody types is not settled unseen, whichever value is shown", async ({ server, ceo, cfo }) => {
  await ceo.expectSync("live", 0)
  await cfo.expectSync("live", 0)
  await server.kill()
  await ceo.expectSync("offline")
  await cfo.expectSync("offline")
  await cfo.set("Office Manager", "budget", "31")
  // The later of two wins, as Automerge counts: so it is this one's that is shown.
  for (const budget of ["43", "44", "45"]) await ceo.set("Office Manager", "budget", budget)
  await ceo.cell("Office Manager", "budget").focus()
  await ceo.page.keyboard.type("50")
  await server.up()
  await expect(ceo.page.getByText("1 thing to look at")).toBeVisible()
  await ceo.page.keyboard.press("Enter")
  for (const who of [ceo, cfo]) {
    await expect(who.cell("Office Manager", "budget").locator(".value")).toHaveText("50")
    await who.page.getByRole("button", { name: "Budget of Office Manager: 2 values, compare" }).click()
    await expect(who.page.getByRole("dialog").locator(".choice-value")).toHaveText(["50", "31"])
  }
})

test("what is written while the deletion of its position is on its way to the screen is not lost", async ({ server, ceo, cfo }) => {
  const { page } = ceo
  await ceo.cell("Office Manager", "budget").focus()
  await page.keyboard.type("50")
  // What comes from others is shown with the next frame, and there is none.
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
  for (const who of [ceo, cfo])
    await expect(who.page.getByRole("region", { name: "Changes to look at" })).toContainText("Office Manager: CEO set budget to 50")
})

test("who takes an edit back takes nothing from who has set the field since", async ({ ceo, cfo }) => {
  await ceo.set("Office Manager", "budget", "20")
  await expect(cfo.cell("Office Manager", "budget")).toHaveText("20")
  await cfo.set("Office Manager", "budget", "30")
  await expect(ceo.cell("Office Manager", "budget")).toHaveText("30")
  await ceo.page.getByRole("button", { name: "Undo" }).click()
  await expect(ceo.page.getByText("both values are kept, to choose from")).toBeVisible()
  for (const { page } of [ceo, cfo]) {
    await page.getByRole("button", { name: "Budget of Office Manager: 2 values, compare" }).click()
    await expect(page.getByRole("dialog").locator(".choice-value")).toHaveCount(2)
    expect((await page.getByRole("dialog").locator(".choice-value").allTextContents()).sort()).toEqual(["30", "8"])
  }
})

test("a row that is being edited stays in the list, whatever is searched for", async ({ ceo, cfo }) => {
  await ceo.page.getByRole("combobox", { name: "Location" }).selectOption("Bengaluru")
  await ceo.cell("Head of Design", "budget").focus()
  await ceo.page.keyboard.type("41")
  await cfo.set("Head of Design", "location", "Chennai")
  await expect(ceo.cell("Head of Design", "location")).toHaveText("Chennai")
  await ceo.page.keyboard.press("Enter")
  await expect(cfo.cell("Head of Design", "budget").locator(".value")).toHaveText("41")
  // It is gone from the list now, and nobody is in it any more.
  await expect(ceo.page.getByText("No position is like that.")).toBeVisible()
  await expect(cfo.cell("Head of Design", "budget").locator(".flag")).toHaveCount(0)
})
