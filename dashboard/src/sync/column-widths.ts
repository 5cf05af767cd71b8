/** Widths of columns, which each user sets for their own screen. Kept in this browser per plan and user. */
import { planKey } from "./storage-keys"
import { storeItem } from "./stored-items"

/** In rem, by column. */
export type ColumnWidths = ReadonlyMap<string, number>

export function readColumnWidths(owner: string, plan: string): ColumnWidths {
  try {
    const read: unknown = JSON.parse(localStorage.getItem(planKey("widths", owner, plan)) ?? "{}")
    const entries = typeof read === "object" && read !== null ? Object.entries(read) : []
    return new Map(entries.filter(([, width]) => typeof width === "number" && width > 0))
  } catch {
    return new Map()
  }
}

/** Without storage the widths last as long as the page. */
export function saveColumnWidths(owner: string, plan: string, widths: ColumnWidths): void {
  storeItem(planKey("widths", owner, plan), widths.size > 0 ? JSON.stringify(Object.fromEntries(widths)) : null)
}
