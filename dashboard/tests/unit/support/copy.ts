/** A copy of a plan, as a document handle has it. */
import { next as A } from "@automerge/automerge/slim"
import { decodeHeads, encodeHeads, type UrlHeads } from "@automerge/automerge-repo/slim"
import { decodeSince } from "../../../src/history/decode"
import type { Deed } from "../../../src/history/deeds"
import { Ledger } from "../../../src/history/ledger"
import { add, type Plan } from "../../../src/plan/edit"
import { type Field, type PlanDoc, type Position, readConflicts, readPosition, rowsOf, shownValue } from "../../../src/plan/schema"

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

  look(id: string): Position | null {
    const position = readPosition(id, rowsOf(this.current)[id])
    return position && { ...position, conflicts: readConflicts(this.current, id) }
  }

  /** The shown value of a field, and then those that lost. */
  values(id: string, field: Field): unknown[] {
    const position = this.look(id)
    return position ? [shownValue(position, field), ...(position.conflicts?.[field]?.losing.map(({ value }) => value) ?? [])] : []
  }

  /** The operation that wrote a value of a conflict. */
  operation(id: string, field: Field, value: unknown): string {
    const position = this.look(id)
    const conflict = position?.conflicts?.[field]
    if (position && conflict && shownValue(position, field) === value) return conflict.winner
    const losing = conflict?.losing.find((lost) => lost.value === value)
    if (!losing) throw new Error(`${value} is not among the values of ${field}`)
    return losing.operation
  }

  /** Any change of the document, as other programs make them. */
  write(change: (doc: Record<string, unknown> & { positions: Record<string, Record<string, unknown>> }) => void): void {
    this.current = A.change(this.current, change as unknown as A.ChangeFn<PlanDoc>)
  }

  row(id: string): Record<string, unknown> {
    const text = JSON.stringify(rowsOf(this.current)[id], (_, value) => (typeof value === "bigint" ? Number(value) : value))
    return JSON.parse(text) as Record<string, unknown>
  }

  /** Somebody else's, who has the same so far. */
  other(): Copy {
    return new Copy(A.clone(this.current))
  }

  hear(other: Copy): void {
    this.current = A.merge(this.current, A.clone(other.current))
  }

  ledger(): Ledger {
    const ledger = new Ledger()
    for (const { change, maxOp } of decodeSince(this.current, [])) ledger.add(change, maxOp)
    return ledger
  }

  /** What the last changes did, the newest first. */
  told(most = 1): Deed[][] {
    return this.ledger()
      .page({}, null, most)
      .entries.map(({ deeds }) => deeds)
  }

  swallowed() {
    return this.ledger()
      .swallowed()
      .map(({ field, value, who }) => ({ field, value, who }))
  }
}

/** Two copies of a plan with one position. */
export function copies() {
  const ours = new Copy(A.from<Record<string, unknown>>({ positions: {} }) as unknown as A.Doc<PlanDoc>)
  const [id = ""] = add(ours, [{ designation: "Cook", department: "Kitchen", budget: 1, location: "Pune" }], "CEO")
  return { id, ours, theirs: ours.other() }
}
