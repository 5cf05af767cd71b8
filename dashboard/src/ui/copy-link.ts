/** Copies a link to a plan and a view of its list. Browsers without access to the clipboard show the link. */
import { formatAddress } from "./address"
import type { ShowToast } from "./use-toasts"

export async function copyLink(plan: string, view: string, showToast: ShowToast): Promise<void> {
  const link = new URL(formatAddress({ plan, view }), location.href).href
  try {
    await navigator.clipboard.writeText(link)
    showToast(view === "" ? "Link copied." : "Link to this view copied.")
  } catch {
    window.prompt("Link to this plan:", link)
  }
}
