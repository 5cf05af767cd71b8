/** A replica of a plan with the interface of a document handle. */
import { next as A } from "@automerge/automerge/slim"
import { decodeHeads, encodeHeads, type UrlHeads } from "@automerge/automerge-repo/slim"
import { ChangeLog } from "../../../src/history/change-log"
import { decodeChangesSince } from "../../../src/history/decode-changes"
import type { HistoryEvent } from "../../../src/history/events"
import { addPositions, type Plan } from "../../../src/plan/edit"
import type { ColumnKey } from "../../../src/plan/fields"
import { readColumns } from "../../../src/plan/own-columns"
import { type PlanDoc, type Position, readConflicts, readPosition, rowsOf, shownValue } from "../../../src/plan/schema"
import { newPosition } from "./position"

export class Copy implements Plan {
  constructor(private current: A.Doc<PlanDoc>) {}

  doc = () => this.current
  heads = (): UrlHeads => encodeHeads(A.getHeads(this.current))
  change: Plan["change"] = (callback, options) => {
    this.current = A.change(this.current, options ?? {}, callback)
  }
  changeAt: Plan["changeAt"] = (heads, callback, options) => {
    const { newDoc, newHeads } = A.changeAt(this.current, decodeHeads(heads), options ?? {}, callback)
    this.current = newDoc
    return newHeads ? encodeHeads(newHeads) : undefined
  }

  update: Plan["update"] = (callback) => {
    this.current = callback(this.current)
  }

  readPosition(id: string): Position | null {
    const own = readColumns(this.current)
    const position = readPosition(id, rowsOf(this.current)[id], own)
    return position && { ...position, conflicts: readConflicts(this.current, id, own) }
  }

  /** The shown value of a field, followed by the losing values. */
  values(id: string, field: ColumnKey): unknown[] {
    const position = this.readPosition(id)
    return position ? [shownValue(position, field), ...(position.conflicts?.[field]?.losing.map(({ value }) => value) ?? [])] : []
  }

  /** The operation that wrote one value of a conflict. */
  operation(id: string, field: ColumnKey, value: unknown): string {
    const position = this.readPosition(id)
    const conflict = position?.conflicts?.[field]
    if (position && conflict && shownValue(position, field) === value) return conflict.winner
    const losing = conflict?.losing.find((other) => other.value === value)
    if (!losing) throw new Error(`${value} is not among the values of ${field}`)
    return losing.operation
  }

  /** Changes the document like another program. */
  write(change: (doc: Record<string, unknown> & { positions: Record<string, Record<string, unknown>> }) => void): void {
    this.current = A.change(this.current, change as unknown as A.ChangeFn<PlanDoc>)
  }

  row(id: string): Record<string, unknown> {
    const text = JSON.stringify(rowsOf(this.current)[id], (_, value) => (typeof value === "bigint" ? Number(value) : value))
    return JSON.parse(text) as Record<string, unknown>
  }

  /** A second replica with the same changes. */
  fork(): Copy {
    return new Copy(A.clone(this.current))
  }

  merge(other: Copy): void {
    this.current = A.merge(this.current, A.clone(other.current))
  }

  changeLog(): ChangeLog {
    const changeLog = new ChangeLog()
    for (const { change, maxOp } of decodeChangesSince(this.current, [])) changeLog.add(change, maxOp)
    return changeLog
  }

  /** Events of the latest changes, newest first. */
  latestEvents(most = 1): HistoryEvent[][] {
    return this.changeLog()
      .page({}, null, most)
      .entries.map(({ events }) => events)
  }

  discardedEdits() {
    return this.changeLog()
      .discardedEdits()
      .map(({ field, value, author }) => ({ field, value, author }))
  }
}

/** Two replicas of a plan with one position. */
export function createCopies() {
  const ours = new Copy(A.from<Record<string, unknown>>({ positions: {} }) as unknown as A.Doc<PlanDoc>)
  const [id = ""] = addPositions(ours, [newPosition({ designation: "Cook", department: "Kitchen", budget: 1, location: "Pune" })], "CEO")
  return { id, ours, theirs: ours.fork() }
}
