/** Comments on positions. */
import { expectAccessible } from "./support/accessibility"
import { login, test as withAccounts } from "./support/accounts"
import { expect, type Person, person, test, whileOffline } from "./support/plan"

const NAME = "Office Manager"
const dialog = ({ page }: Person) => page.getByRole("dialog", { name: /^Comments on / })
const comments = (user: Person) => dialog(user).getByRole("list", { name: "Comments" }).getByRole("listitem")
const field = (user: Person) => dialog(user).getByLabel("Add a comment")
const marker = ({ page }: Person, name: string | RegExp) => page.getByRole("grid").getByRole("button", { name, exact: true })
const unresolved = (user: Person, count: number, name = NAME) =>
  marker(user, `Comments on ${name}: ${count} unresolved ${count === 1 ? "comment" : "comments"}`)

/** Opens the comments of a position with the keyboard. */
async function open(user: Person, name = NAME): Promise<void> {
  const row = user.page
    .getByRole("grid")
    .getByRole("row")
    .filter({ has: user.page.getByRole("gridcell", { name: new RegExp(`^Designation: ${name}(,|$)`) }) })
  await row.locator('[data-cell$="/budget"]').focus()
  await user.page.keyboard.press("Shift+F2")
  await expect(dialog(user)).toBeVisible()
}

/** Writes a comment with the keyboard, and closes the dialog. */
async function comment(user: Person, text: string, name = NAME): Promise<void> {
  await open(user, name)
  await expect(field(user)).toBeFocused()
  await user.page.keyboard.type(text)
  await user.page.keyboard.press("ControlOrMeta+Enter")
  await expect(field(user)).toHaveValue("")
  await expect(comments(user).last()).toContainText(text)
  await user.page.keyboard.press("Escape")
  await expect(dialog(user)).toHaveCount(0)
}

test("a thread is written, resolved and undone with the keyboard", async ({ cfo, ceo }) => {
  const { page } = cfo
  await open(cfo)
  await expect(dialog(cfo)).toContainText("No comments yet.")
  await page.keyboard.press("ControlOrMeta+Enter")
  await expect(dialog(cfo).getByRole("alert")).toHaveText("Write a comment first.")
  await page.keyboard.type("Is this")
  await page.keyboard.press("Enter")
  await page.keyboard.type("still needed?")
  // A text that was not sent stays.
  await page.keyboard.press("Escape")
  await expect(page.locator('[data-cell$="/budget"]:focus')).toHaveCount(1)
  await page.keyboard.press("Shift+F2")
  await expect(field(cfo)).toHaveValue("Is this\nstill needed?")
  await page.keyboard.press("ControlOrMeta+Enter")
  await expect(comments(cfo)).toHaveCount(1)
  await expect(comments(cfo).first().locator("p").last()).toHaveText("Is this\nstill needed?", { useInnerText: true })
  await page.keyboard.press("Escape")

  await unresolved(ceo, 1).click()
  await expect(comments(ceo).first()).toContainText("CFO")
  await expect(
    comments(ceo)
      .first()
      .getByRole("button", { name: /^Delete/ }),
  ).toHaveCount(0)
  await comments(ceo)
    .first()
    .getByRole("button", { name: /^Resolve/ })
    .press("Enter")
  await expect(comments(ceo).first()).toContainText("resolved")
  await ceo.page.keyboard.press("Escape")
  await expect(unresolved(cfo, 1)).toHaveCount(0)
  await expect(marker(cfo, `Comments on ${NAME}: 1 resolved comment`)).toHaveCount(1)

  await ceo.page.keyboard.press("ControlOrMeta+z")
  await expect(ceo.page.locator(".toast").last()).toContainText(`Undid resolution of a comment on “${NAME}”.`)
  await expect(unresolved(cfo, 1)).toBeVisible()
  await ceo.page.keyboard.press("ControlOrMeta+Shift+z")
  await expect(unresolved(cfo, 1)).toHaveCount(0)

  // The CFO deletes the comment, and takes that back in the dialog.
  await page.keyboard.press("Shift+F2")
  await comments(cfo)
    .getByRole("button", { name: /^Delete/ })
    .click()
  await expect(comments(cfo)).toHaveCount(0)
  await dialog(cfo).getByRole("button", { name: "Undo" }).click()
  await expect(comments(cfo)).toHaveCount(1)
  await page.keyboard.press("Escape")

  await page.getByRole("button", { name: "History", exact: true }).click()
  const entries = page.locator(".entry")
  await expect(entries.filter({ hasText: `commented on ${NAME}: “Is this` })).toHaveCount(1)
  await expect(entries.filter({ hasText: `resolved a comment on ${NAME}` })).toHaveCount(2)
  await expect(entries.filter({ hasText: `restored a comment on ${NAME}` })).toHaveCount(1)
})

test("first comments of two people who are offline are both kept", async ({ server, cfo, ceo }) => {
  await whileOffline(server, [cfo, ceo], async () => {
    await comment(cfo, "From the CFO")
    await comment(ceo, "From the CEO")
    await expect(unresolved(ceo, 1)).toBeVisible()
  })
  for (const user of [cfo, ceo]) {
    await expect(unresolved(user, 2)).toBeVisible()
    await open(user)
    for (const name of ["CFO", "CEO"]) await expect(comments(user).filter({ hasText: `From the ${name}` })).toHaveCount(1)
  }
  for (const name of ["CFO", "CEO"]) {
    await comments(cfo)
      .filter({ hasText: `From the ${name}` })
      .getByRole("button", { name: /^Resolve/ })
      .click()
    await expect(comments(ceo).filter({ hasText: `From the ${name}` })).toContainText("resolved")
  }
  await cfo.page.keyboard.press("Escape")
  await comment(cfo, "One more")
  await expect(comments(ceo)).toHaveCount(3)

  // A deleted position brings its comments back.
  await ceo.page.keyboard.press("Escape")
  await cfo.page.getByRole("button", { name: `Delete ${NAME}` }).click()
  await expect(ceo.page.getByRole("button", { name: `Delete ${NAME}` })).toHaveCount(0)
  await cfo.undo()
  await expect(unresolved(ceo, 1)).toBeVisible()
  await open(ceo)
  await expect(comments(ceo)).toHaveCount(3)
})

test("a mention is completed, and listed for the other person", async ({ cfo, ceo }) => {
  const { page } = cfo
  await expect(page.getByText("CEO").first()).toBeVisible()
  await open(cfo)
  await page.keyboard.type("Please look, @c")
  const people = page.getByRole("listbox", { name: "People to mention" })
  await expect(people.getByRole("option", { name: "CEO", exact: true })).toHaveCount(1)
  await page.keyboard.press("Escape")
  await expect(people).toHaveCount(0)
  await expect(dialog(cfo)).toBeVisible()
  await page.keyboard.press("Backspace")
  await page.keyboard.press("Backspace")
  await page.keyboard.type("@ce")
  await expect(people.getByRole("option", { name: "CEO", exact: true })).toHaveAttribute("aria-selected", "true")
  await page.keyboard.press("Enter")
  await expect(field(cfo)).toHaveValue("Please look, @CEO ")
  await page.keyboard.press("ControlOrMeta+Enter")
  await expect(comments(cfo).locator(".mention")).toHaveText("@CEO")

  const review = ceo.page.getByRole("region", { name: "Needs review" })
  await expect(review).toContainText(`${NAME}: CFO mentioned you: “Please look, @CEO”`)
  await expect(page.getByRole("region", { name: "Needs review" })).toHaveCount(0)
  await review.getByRole("button", { name: `Show the comments on ${NAME}` }).click()
  await comments(ceo)
    .getByRole("button", { name: /^Resolve/ })
    .click()
  await ceo.page.keyboard.press("Escape")
  await expect(review).toHaveCount(0)
})

test("the command palette opens the comments of the focused position", async ({ cfo }) => {
  const { page } = cfo
  await cfo.cell(NAME, "location").focus()
  await page.keyboard.press("ControlOrMeta+k")
  await page.keyboard.type("comment on")
  await page.keyboard.press("Enter")
  await expect(dialog(cfo)).toBeVisible()
  await expect(field(cfo)).toBeFocused()
})

test("the history of a position opens its comments, also on a phone", async ({ server, browser }) => {
  const ceo = await person(browser, "CEO", { viewport: { width: 390, height: 844 } })
  await ceo.open(server.url)
  await ceo.page.getByRole("button", { name: `History of ${NAME}` }).click()
  await ceo.page.getByRole("dialog").getByRole("button", { name: "Comments" }).click()
  await field(ceo).fill("From a phone")
  await dialog(ceo).getByRole("button", { name: "Comment", exact: true }).click()
  await expect(comments(ceo)).toContainText("From a phone")
  await ceo.page.keyboard.press("Escape")
  await expect(unresolved(ceo, 1)).toBeVisible()
  await ceo.context.close()
})

for (const [device, viewport] of [
  ["desktop", { width: 1280, height: 860 }],
  ["phone", { width: 390, height: 844 }],
] as const) {
  test(`comments are accessible: ${device}`, async ({ server, browser }) => {
    const [ceo, cfo] = [await person(browser, "CEO", { viewport }), await person(browser, "CFO", { viewport })]
    await ceo.open(server.url)
    await cfo.open(server.url)
    await comment(cfo, "Look at this, @CEO ")
    await expect(unresolved(ceo, 1)).toBeVisible()
    await expectAccessible(ceo.page, "a comment to look at")
    await comment(ceo, "I did")
    await open(ceo)
    await comments(ceo)
      .first()
      .getByRole("button", { name: /^Resolve/ })
      .click()
    await field(ceo).focus()
    await ceo.page.keyboard.type("@c")
    await expect(ceo.page.getByRole("listbox")).toBeVisible()
    await expectAccessible(ceo.page, "comments on a position")
    await ceo.context.close()
    await cfo.context.close()
  })
}

withAccounts("viewers read comments only", async ({ server, browser }) => {
  const [cfo, board] = [await person(browser, ""), await person(browser, "")]
  await login(cfo, server.url, "cfo")
  await comment(cfo, "For the board, @board")
  await login(board, server.url, "board")
  await expect(board.page.getByRole("region", { name: "Needs review" })).toContainText("cfo mentioned you")
  await unresolved(board, 1).click()
  await expect(comments(board)).toContainText("For the board, @board")
  await expect(dialog(board)).toContainText("You need edit access to comment.")
  await expect(field(board)).toHaveCount(0)
  await expect(comments(board).getByRole("button")).toHaveCount(0)
  await cfo.context.close()
  await board.context.close()
})
