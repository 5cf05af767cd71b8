/** Id of the element around the list of positions. */
export const LIST_ID = "list"

/**
 * Moves the focus to the list. The list is higher than the window, and the browser would scroll to its middle. `scroll`: scrolls to its
 * beginning; otherwise the page stays where it is.
 */
export function focusList({ scroll }: { scroll: boolean }): void {
  const list = document.getElementById(LIST_ID)
  list?.focus({ preventScroll: true })
  if (scroll) list?.scrollIntoView({ block: "start" })
}
