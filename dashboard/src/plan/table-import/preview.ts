/** The lines of a table as they were read, before they are compared with the plan. */
import type { NewPosition } from "../edit"
import type { ColumnKey } from "../fields"

/** A line that was parsed as a position. */
export interface ImportLine {
  /** Line number as in a spreadsheet, starting at 1. */
  number: number
  /** Id of the position in the table; empty if it has none. */
  id: string
  position: NewPosition
  /** Text of each field that the table has. */
  texts: Partial<Record<ColumnKey, string>>
  /** Why the value of a field cannot be imported. */
  problems: Partial<Record<ColumnKey, string>>
  /** Why the line cannot be imported; `null` if it can. */
  problem: string | null
}

/** A line that is not a position, such as a title or a total. */
export interface SkippedLine {
  number: number
  reason: string
}

export interface ImportPreview {
  lines: ImportLine[]
  skipped: SkippedLine[]
  /** Names of columns that are not imported. */
  ignored: string[]
  /** Notes for the user. */
  notes: string[]
  /** Why nothing can be imported; `null` if something can. */
  problem: string | null
}

/** The preview of a table that cannot be imported. */
export const failedPreview = (problem: string): ImportPreview => ({ lines: [], skipped: [], ignored: [], notes: [], problem })
