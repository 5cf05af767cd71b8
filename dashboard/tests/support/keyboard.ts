/** Moves and commands of a user without a mouse. Every helper presses keys only, and fails if keys do not lead there. */
import { expect, type Locator, type Page } from "@playwright/test"
import type { FieldKey } from "../../src/plan/fields"
import type { Person } from "./plan"

const MOST_STEPS = 200

const hasFocus = (target: Locator): Promise<boolean> =>
  target.evaluateAll((elements) => elements.some((element) => element === document.activeElement))

/** Presses a key until the target has the focus. */
async function pressUntil(page: Page, key: string, target: Locator): Promise<void> {
  for (let at = 0; at < MOST_STEPS; at += 1) {
    if (await hasFocus(target)) return
    await page.keyboard.press(key)
  }
  throw new Error(`${key} does not lead to ${target}`)
}

/** Moves the focus with Tab. */
export async function tabTo({ page }: Person, target: Locator): Promise<void> {
  await expect(target).toBeVisible()
  await pressUntil(page, "Tab", target)
}

/** Presses a button with the keyboard. */
export async function press(user: Person, button: Locator): Promise<void> {
  await expect(button).toBeEnabled()
  await tabTo(user, button)
  await user.page.keyboard.press("Enter")
}

/** Runs a command of the palette, whose label contains the text. */
export async function command({ page }: Person, text: string): Promise<void> {
  const palette = page.getByRole("dialog", { name: "Commands" })
  await page.keyboard.press("ControlOrMeta+k")
  await expect(palette.getByRole("combobox")).toBeFocused()
  await page.keyboard.type(text)
  await expect(palette.getByRole("option", { selected: true })).toContainText(text)
  await page.keyboard.press("Enter")
  await expect(palette).toHaveCount(0)
}

/** Moves the focus to the first cell of the list. */
async function enterList({ page }: Person): Promise<void> {
  await pressUntil(page, "Tab", page.getByRole("grid").locator("[data-row] *"))
  await page.keyboard.press("ControlOrMeta+Home")
}

/** Moves the focus to a cell of the list. */
export async function goTo(user: Person, designation: string, field: FieldKey): Promise<void> {
  const { page } = user
  await enterList(user)
  await pressUntil(page, "ArrowDown", user.row(designation).locator("*"))
  await page.keyboard.press("Home")
  await pressUntil(page, "ArrowRight", user.cell(designation, field))
}

/** Extends the selection downwards. */
export async function extendDown({ page }: Person, rows: number): Promise<void> {
  for (let at = 0; at < rows; at += 1) await page.keyboard.press("Shift+ArrowDown")
}

/** Counts the uses of a pointer from now on, also in pages that are opened later. Returns the number so far. */
export async function countPointers({ page, context }: Person): Promise<() => Promise<number>> {
  const count = () => {
    const counter = window as unknown as { pointers?: number }
    if (counter.pointers !== undefined) return
    counter.pointers = 0
    for (const type of ["pointerdown", "mousedown", "touchstart"])
      window.addEventListener(type, () => Object.assign(counter, { pointers: (counter.pointers ?? 0) + 1 }), true)
  }
  await context.addInitScript(count)
  await page.evaluate(count)
  return () => page.evaluate(() => (window as unknown as { pointers: number }).pointers)
}
