/** Fields of other programs and losing values survive edits on this page. */
import { Client, type Doc } from "./support/client"
import { test as base, expect } from "./support/plan"

const test = base.extend<{ client: Client }>({
  client: async ({ server }, use) => {
    const client = await Client.open(server)
    await use(client)
    await client.close()
  },
})

/** Sets a budget concurrently with the edits of the page. */
function setConcurrently(client: Client, heads: ReturnType<Client["handle"]["heads"]>, id: string, budget: number): void {
  client.handle.changeAt(heads, (doc: Doc) => {
    if (doc.positions[id]) doc.positions[id].budget = budget
  })
}

test("a deleted position is restored completely", async ({ client, ceo }) => {
  const { page } = ceo
  const id = client.id("Head of Design")
  client.handle.change((doc) => {
    Object.assign(doc.positions[id] ?? {}, { headcount: 3, notes: { by: "CFO", lines: ["one"] } })
  })
  const before = client.handle.heads()
  await ceo.set("Head of Design", "budget", "45")
  await expect.poll(() => client.row(id)?.budget).toBe(45)
  setConcurrently(client, before, id, 31)
  const mark = page.getByRole("button", { name: "Budget of Head of Design: 2 conflicting values" })
  await expect(mark).toBeVisible()
  const rowOf = () => ({ ...client.row(id), updatedAt: null, updatedBy: null })
  const original = rowOf()

  await ceo.remove("Head of Design")
  await expect.poll(() => client.row(id)).toBeUndefined()
  await ceo.undo()
  await expect(mark).toBeVisible()
  await expect.poll(rowOf).toEqual(original)

  await ceo.remove("Head of Design")
  await page.reload()
  await page.getByRole("button", { name: "History", exact: true }).click()
  const entries = page.getByRole("dialog", { name: "History of the plan" }).locator(".entry")
  await entries.first().getByRole("button", { name: "Restore Head of Design" }).click()
  await expect(entries.filter({ hasText: "restored Head of Design" }).first()).toBeVisible()
  await page.getByRole("button", { name: "Close" }).click()
  await expect(mark).toBeVisible()
  await expect.poll(rowOf).toEqual(original)
})

test("a resolved conflict is listed and can be undone", async ({ client, ceo }) => {
  const { page } = ceo
  const id = client.id("Head of Design")
  const before = client.handle.heads()
  await ceo.set("Head of Design", "budget", "45")
  await expect.poll(() => client.row(id)?.budget).toBe(45)
  setConcurrently(client, before, id, 31)
  const mark = page.getByRole("button", { name: "Budget of Head of Design: 2 conflicting values" })
  await mark.click()
  const values = await page.getByRole("dialog").locator(".choice-value").allTextContents()
  const keep = page.getByRole("button", { name: "Keep this" })
  await keep.click()
  await expect(mark).toHaveCount(0)
  await ceo.undo()
  await mark.click()
  await expect(page.getByRole("dialog").locator(".choice-value")).toHaveText(values)
  await keep.click()
  await ceo.row("Head of Design").getByRole("button", { name: "History of Head of Design" }).click()
  const panel = page.getByRole("dialog", { name: "History of Head of Design" })
  await expect(panel.locator(".entry").first()).toContainText(`budget kept ${values[0]} over ${values[1]}`)
})

test("values of another type are shown as text", async ({ client, ceo }) => {
  const { page } = ceo
  const id = client.id("Office Manager")
  client.handle.change((doc) => {
    if (doc.positions[id]) doc.positions[id].budget = "twelve"
    doc.positions.odd = "just text" as unknown as Record<string, unknown>
  })
  await expect(ceo.cell("Office Manager", "budget")).toHaveText("twelve")
  await expect(ceo.cell("Office Manager", "budget")).toHaveAccessibleName("Budget: twelve, not a number, not included in totals")
  await expect(page.locator(".count")).toContainText("2 budgets unknown")
  await page.getByRole("searchbox", { name: "Search positions" }).fill("just text")
  const row = page.locator('[data-row="odd"]')
  await expect(row).toContainText("just text")
  await expect(row).toContainText("not a position")
  await row.locator('[data-cell="odd/budget"]').focus()
  await page.keyboard.type("5")
  await expect(page.getByRole("grid").getByRole("textbox")).toHaveCount(0)
  await row.getByRole("button", { name: "Delete just text" }).click()
  await expect.poll(() => "odd" in client.handle.doc().positions).toBe(false)
  await ceo.undo()
  await expect.poll(() => String(client.handle.doc().positions.odd)).toBe("just text")
})

test("an unknown budget is added, cleared and undone", async ({ client, ceo, cfo }) => {
  const { page } = ceo
  await ceo.add("Astronomer", "Engineering", "", "Pune")
  await expect(cfo.cell("Astronomer", "budget")).toHaveText("—")
  await expect.poll(() => Object.keys(client.row(client.id("Astronomer")) ?? {})).not.toContain("budget")
  await expect(page.locator(".count")).toContainText("1 budget unknown")

  const id = client.id("Office Manager")
  await ceo.set("Office Manager", "budget", " ")
  await expect(cfo.cell("Office Manager", "budget")).toHaveText("—")
  await expect(cfo.page.locator(".count")).toContainText("2 budgets unknown")
  expect(Object.keys(client.row(id) ?? {})).not.toContain("budget")
  await ceo.undo()
  await expect(cfo.cell("Office Manager", "budget")).toHaveText("8")
})

test("clearing a budget that another user sets is reported", async ({ ceo, cfo }) => {
  const { page } = ceo
  await ceo.cell("Office Manager", "budget").focus()
  await page.keyboard.press("F2")
  await page.keyboard.press("ControlOrMeta+a")
  await page.keyboard.press("Delete")
  await cfo.set("Office Manager", "budget", "20")
  await expect(page.locator(".figures dd").nth(1)).toHaveText("₹1,266 lakh")
  await page.keyboard.press("Enter")
  await expect(page.getByText("Somebody else changed this at the same time. It is now 20.")).toBeVisible()
  await expect(cfo.cell("Office Manager", "budget")).toHaveText("20")
})
