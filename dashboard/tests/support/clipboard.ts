/** The clipboard of a page, without that of the system. */
import type { Page } from "@playwright/test"

export interface Clipboard {
  text: string
  html?: string
}

/** Pastes into the focused element. */
export async function paste(page: Page, { text, html = "" }: Clipboard): Promise<void> {
  await page.evaluate(
    ([text, html]) => {
      const clipboardData = new DataTransfer()
      if (text) clipboardData.setData("text/plain", text)
      if (html) clipboardData.setData("text/html", html)
      document.activeElement?.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }))
    },
    [text, html] as const,
  )
}

/** Copies or cuts in the focused element. */
export async function copy(page: Page, type: "copy" | "cut" = "copy"): Promise<Required<Clipboard>> {
  return page.evaluate((type) => {
    const clipboardData = new DataTransfer()
    document.activeElement?.dispatchEvent(new ClipboardEvent(type, { clipboardData, bubbles: true, cancelable: true }))
    return { text: clipboardData.getData("text/plain"), html: clipboardData.getData("text/html") }
  }, type)
}
