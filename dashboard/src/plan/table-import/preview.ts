/** What a table holds, for a person to look at before any of it is added. */
import type { NewPosition } from "../edit"

/** A line that was read as a position. */
export interface ImportLine {
  /** Counted from 1, as spreadsheets count rows. */
  number: number
  position: NewPosition
  /** Why the line cannot be taken; null if it can. */
  problem: string | null
}

/** A line that is no position, such as a title or a total. */
export interface SkippedLine {
  number: number
  reason: string
}

export interface ImportPreview {
  lines: ImportLine[]
  skipped: SkippedLine[]
  /** Names of columns that are not imported. */
  ignored: string[]
  /** What a person should know before adding the lines, as sentences. */
  notes: string[]
  /** Why nothing of the table can be taken; null if some of it may be. */
  problem: string | null
}

/** A table of which nothing can be taken. */
export const failedPreview = (problem: string): ImportPreview => ({ lines: [], skipped: [], ignored: [], notes: [], problem })
