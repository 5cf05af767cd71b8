/** Accessibility of what a page shows, as axe-core judges it. */
import { AxeBuilder } from "@axe-core/playwright"
import { expect, type Page } from "@playwright/test"

const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
/** The rules whose result depends on colors. */
const COLOR_RULES = ["color-contrast", "link-in-text-block"]

/** No rule is violated in light colors, and no rule about colors in dark ones. `view` names the view in a failure. */
export async function expectAccessible(page: Page, view: string): Promise<void> {
  await expectClean(builder(page).withTags(TAGS), `${view}, light`)
  await page.emulateMedia({ colorScheme: "dark" })
  await transitionsEnded(page)
  await expectClean(builder(page).withRules(COLOR_RULES), `${view}, dark`)
  await page.emulateMedia({ colorScheme: "light" })
  await transitionsEnded(page)
}

/** Without descriptions of all elements that pass, which would take most of the time. */
const builder = (page: Page): AxeBuilder => new AxeBuilder({ page }).options({ resultTypes: ["violations"] })

async function expectClean(axe: AxeBuilder, view: string): Promise<void> {
  const { violations } = await axe.analyze()
  expect(
    violations.map(({ id, nodes }) => ({ id, nodes: nodes.map((node) => `${node.html.slice(0, 200)} ${node.failureSummary}`) })),
    view,
  ).toEqual([])
}

/** Colors that are in transition have a contrast of their own. */
const transitionsEnded = (page: Page): Promise<unknown> =>
  page.evaluate(() =>
    Promise.allSettled(
      document
        .getAnimations()
        .filter((animation) => animation instanceof CSSTransition)
        .map(({ finished }) => finished),
    ),
  )
