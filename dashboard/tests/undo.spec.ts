/** Undo and redo. */
import { Client, type Doc } from "./support/client"
import { paste } from "./support/clipboard"
import { expect, type Person, test, whileOffline } from "./support/plan"

const undo = ({ page }: Person) => page.keyboard.press("ControlOrMeta+z")
const redo = ({ page }: Person) => page.keyboard.press("ControlOrMeta+Shift+z")
/** Reloads the page when its changes are stored. */
async function reload(user: Person): Promise<void> {
  await user.expectSync("live", 0)
  await user.page.reload()
  await user.expectSync("live", 0)
}
const toast = ({ page }: Person) => page.locator(".toast").last()

test("actions are undone and redone one by one, also after a reload", async ({ server, cfo, ceo }) => {
  const { page } = cfo
  const budget = cfo.value("Office Manager", "budget")
  await cfo.set("Office Manager", "budget", "20")
  await cfo.cell("Office Manager", "department").click()
  await page.keyboard.press("Shift+ArrowDown")
  await paste(page, { text: "Alpha\nBeta" })
  await cfo.cell("Office Manager", "budget").click()
  await page.keyboard.press("Shift+ArrowDown")
  await page.keyboard.press("ControlOrMeta+d")
  await expect(cfo.value("Head of Design", "budget")).toHaveText("20")
  await page.keyboard.press("Delete")
  await cfo.remove("QA Engineer")
  await cfo.add("Astronomer", "Space", "5", "Pune")
  await reload(cfo)
  await expect(page.getByRole("button", { name: "Undo the last action" })).toHaveAttribute(
    "title",
    "Undo addition of “Astronomer” (Ctrl+Z)",
  )
  await undo(cfo)
  await expect(toast(cfo)).toContainText("Undid addition of “Astronomer”.")
  await expect(ceo.row("Astronomer")).toHaveCount(0)
  await undo(cfo)
  await expect(ceo.row("QA Engineer")).toHaveCount(1)
  await undo(cfo)
  await expect(toast(cfo)).toContainText("Undid clearing of 2 cells.")
  await expect(budget).toHaveText("20")
  await undo(cfo)
  await expect(ceo.value("Head of Design", "budget")).toHaveText("38")
  await undo(cfo)
  await expect(toast(cfo)).toContainText("Undid paste of 2 cells.")
  await undo(cfo)
  await expect(budget).toHaveText("8")
  await undo(cfo)
  await expect(toast(cfo)).toContainText("There is nothing to undo.")
  await expect(page.getByRole("button", { name: "Undo the last action" })).toBeDisabled()

  await reload(cfo)
  await redo(cfo)
  await expect(ceo.value("Office Manager", "budget")).toHaveText("20")
  await page.keyboard.press("ControlOrMeta+y")
  await expect(ceo.value("Head of Design", "department")).toHaveText("Beta")
  await page.getByRole("button", { name: "Redo the last action" }).click()
  await expect(ceo.value("Head of Design", "budget")).toHaveText("20")
  // A new action ends redo.
  await cfo.set("Office Manager", "location", "Goa")
  await expect(page.getByRole("button", { name: "Redo the last action" })).toBeDisabled()
  await cfo.expectSync("live", 0)
  expect((await server.rows()).filter(({ designation }) => designation === "Astronomer")).toEqual([])
})

test("undo keeps what another user has changed since", async ({ cfo, ceo }) => {
  await cfo.cell("Office Manager", "budget").click()
  await paste(cfo.page, { text: "20\n21\n22" })
  await expect(ceo.value("QA Engineer", "budget")).toHaveText("22")
  await ceo.set("Head of Design", "budget", "99")
  await expect(cfo.value("Head of Design", "budget")).toHaveText("99")
  await reload(cfo)
  await undo(cfo)
  await expect(toast(cfo)).toContainText("Undid paste of 3 cells. Somebody else has changed Budget of “Head of Design” since. It stays 99.")
  for (const user of [cfo, ceo]) {
    await expect(user.value("Office Manager", "budget")).toHaveText("8")
    await expect(user.value("Head of Design", "budget")).toHaveText("99")
    await expect(user.page.getByRole("button", { name: /conflicting values/ })).toHaveCount(0)
  }
  // Redo changes what undo has changed, and nothing else.
  await redo(cfo)
  await expect(ceo.value("Office Manager", "budget")).toHaveText("20")
  await expect(ceo.value("Head of Design", "budget")).toHaveText("99")
})

test("undo of a deletion brings back conflicts and unknown fields", async ({ server, cfo, ceo }) => {
  const client = await Client.open(server)
  const id = client.id("Head of Design")
  client.handle.change((doc) => {
    Object.assign(doc.positions[id] ?? {}, { headcount: 3, notes: { by: "CFO", lines: ["one"] } })
  })
  const heads = client.handle.heads()
  await cfo.set("Head of Design", "budget", "45")
  await expect.poll(() => client.row(id)?.budget).toBe(45)
  client.handle.changeAt(heads, (doc: Doc) => {
    if (doc.positions[id]) doc.positions[id].budget = 31
  })
  const mark = cfo.page.getByRole("button", { name: "Budget of Head of Design: 2 conflicting values" })
  await expect(mark).toBeVisible()
  const rowOf = () => ({ ...client.row(id), updatedAt: null, updatedBy: null })
  const original = rowOf()
  await cfo.cell("Office Manager", "designation").click()
  await cfo.page.keyboard.press("Shift+ArrowDown")
  await cfo.page.keyboard.press("ControlOrMeta+Backspace")
  await expect.poll(() => client.row(id)).toBeUndefined()
  await reload(cfo)
  await undo(cfo)
  await expect(mark).toBeVisible()
  await expect.poll(rowOf).toEqual(original)
  await redo(cfo)
  await expect(ceo.row("Office Manager")).toHaveCount(0)
  await undo(cfo)
  await expect(mark).toBeVisible()
  await expect.poll(rowOf).toEqual(original)
  await client.close()
})

test("undo works offline, and both users agree afterwards", async ({ server, cfo, ceo }) => {
  await cfo.waitForServiceWorker()
  await whileOffline(server, [cfo, ceo], async () => {
    await cfo.cell("Office Manager", "location").click()
    await paste(cfo.page, { text: "Goa\nDelhi" })
    await ceo.set("Head of Design", "location", "Surat")
    await cfo.expectSync("offline", 1)
    // The page saves its changes within a tenth of a second.
    await cfo.page.waitForTimeout(500)
    await cfo.page.reload()
    await expect(cfo.value("Head of Design", "location")).toHaveText("Delhi")
    await undo(cfo)
    await expect(toast(cfo)).toContainText("Undid paste of 2 cells.")
    await redo(cfo)
    await undo(cfo)
  })
  for (const user of [cfo, ceo]) await expect(user.value("Office Manager", "location")).not.toHaveText("Goa")
  const row = (await server.rows()).find(({ designation }) => designation === "Head of Design")
  expect([row?.location, ...(row?.conflicts?.location ?? [])]).toContain("Surat")
  const shown = await ceo.value("Head of Design", "location").textContent()
  await expect(cfo.value("Head of Design", "location")).toHaveText(shown ?? "")
  expect(row?.location).toBe(shown)
})

test("text fields keep their own undo", async ({ cfo }) => {
  const { page } = cfo
  await cfo.set("Office Manager", "budget", "20")
  const search = page.getByRole("searchbox")
  await search.pressSequentially("abc")
  await undo(cfo)
  await expect(cfo.page.locator(".toast")).toContainText("Budget of “Office Manager” changed.")
  await search.fill("")
  await cfo.cell("Office Manager", "budget").dblclick()
  await page.keyboard.type("5")
  await undo(cfo)
  await page.keyboard.press("Escape")
  await expect(cfo.value("Office Manager", "budget")).toHaveText("20")
})
