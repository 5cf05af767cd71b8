/**
 * The lines of the grid: positions, and the heads of groups between them.
 *
 * Ranges, pasting and filling count positions only, so that a head is never one of their cells. This module maps between both.
 */
import type { PositionGroup } from "../plan/grouping"
import type { Position } from "../plan/schema"

/** The head of a group. */
export interface GroupLine {
  kind: "group"
  /** Unique among the lines; never the id of a position. */
  id: string
  group: PositionGroup
  isCollapsed: boolean
}

export interface PositionLine {
  kind: "position"
  position: Position
  /** Index into the positions with a line. */
  index: number
  /** Number of the row, starting with 1. Positions of collapsed groups have numbers, too. */
  number: number
}

export type GridLine = GroupLine | PositionLine

export interface GridLines {
  lines: readonly GridLine[]
  /** The positions with a line, in the order of the lines. */
  positions: readonly Position[]
  /** The line of each position, by index into `positions`. */
  lineOf: readonly number[]
  /** The line of each head, by id. */
  lineOfHead: ReadonlyMap<string, number>
}

/** The id of a head. Ids of positions have no control characters. */
export const headId = (key: string): string => `group\u0001${key}`

/** The lines of a list without groups. */
export function plainLines(positions: readonly Position[]): GridLines {
  return {
    lines: positions.map((position, index) => ({ kind: "position", position, index, number: index + 1 })),
    positions,
    lineOf: positions.map((_, index) => index),
    lineOfHead: new Map(),
  }
}

/** The lines of a grouped list. Collapsed groups show their head only, and the position `pinnedId`, which is being edited. */
export function groupedLines(groups: readonly PositionGroup[], collapsed: ReadonlySet<string>, pinnedId: string | null): GridLines {
  const lines: GridLine[] = []
  const positions: Position[] = []
  const lineOf: number[] = []
  const lineOfHead = new Map<string, number>()
  let number = 0
  for (const group of groups) {
    const isCollapsed = collapsed.has(group.key)
    const id = headId(group.key)
    lineOfHead.set(id, lines.length)
    lines.push({ kind: "group", id, group, isCollapsed })
    for (const position of group.positions) {
      number += 1
      if (isCollapsed && position.id !== pinnedId) continue
      lineOf.push(lines.length)
      lines.push({ kind: "position", position, index: positions.length, number })
      positions.push(position)
    }
  }
  return { lines, positions, lineOf, lineOfHead }
}

/** The position at a line, or the nearest one above a head; the first one if there is none above. `null` if the list has no positions. */
export function positionNear({ lines, positions }: GridLines, line: number): number | null {
  if (positions.length === 0) return null
  for (let at = Math.min(line, lines.length - 1); at >= 0; at -= 1) {
    const found = lines[at]
    if (found?.kind === "position") return found.index
  }
  return 0
}
