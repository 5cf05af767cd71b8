/** What a table holds, for a person to look at before any of it is added. */
import type { NewPosition } from "../edit"

/** A line that was read as a position. */
export interface Line {
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

export interface Preview {
  lines: Line[]
  skipped: SkippedLine[]
  /** Names of columns that are not imported. */
  ignored: string[]
  /** What a person should know before adding the lines, as sentences. */
  notes: string[]
  /** Why nothing of the table can be taken; null if some of it may be. */
  problem: string | null
}

/** A table of which nothing can be taken. */
export const refusal = (problem: string): Preview => ({ lines: [], skipped: [], ignored: [], notes: [], problem })
