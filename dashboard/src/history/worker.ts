/**
 * The history, read beside the page: a copy of the document lives here, so that a long past costs the page nothing.
 */
import { next as A } from "@automerge/automerge/slim"
import { FIELDS, readPosition, readSettings, rowsOf } from "../plan/schema"
import { startAutomerge } from "../sync/automerge"
import { decodeSince } from "./decode"
import { Ledger } from "./ledger"
import type { FromWorker, Past, Questions, ToWorker } from "./protocol"

const ledger = new Ledger()
let doc: A.Doc<unknown> | null = null

const say = (message: FromWorker) => postMessage(message)

/** Everything in the order in which it came, one after the other. */
let before: Promise<void> = startAutomerge()
self.onmessage = ({ data }: MessageEvent<ToWorker>) => {
  before = before
    .then(() => take(data))
    .catch((error: unknown) =>
      say(data.type === "ask" ? { type: "refused", id: data.id, reason: String(error) } : { type: "failed", reason: String(error) }),
    )
}

async function take(message: ToWorker): Promise<void> {
  switch (message.type) {
    case "open":
      doc = A.load(message.bytes)
      read(doc, [])
      say({ type: "conflicts", ids: conflicting(doc) })
      break
    case "add": {
      if (!doc) return
      const heads = A.getHeads(doc)
      doc = A.loadIncremental(doc, message.bytes)
      read(doc, heads)
      break
    }
    case "ask":
      say({ type: "answer", id: message.id, answer: answer(message) })
  }
}

function read(doc: A.Doc<unknown>, since: A.Heads): void {
  const total = A.getChangesMetaSince(doc, since).length
  let [told, done] = [performance.now(), 0]
  for (const { change, maxOp } of decodeSince(doc, since)) {
    ledger.add(change, maxOp)
    done += 1
    if (performance.now() - told > 250) {
      told = performance.now()
      say({ type: "progress", done, total })
    }
  }
  say({ type: "read", changes: ledger.length, swallowed: ledger.swallowed() })
}

function conflicting(doc: A.Doc<unknown>): string[] {
  const rows = rowsOf(doc)
  const isSeveral = (object: unknown, key: string) => Object.keys(A.getConflicts(object as A.Doc<unknown>, key) ?? {}).length > 1
  return Object.entries(rows)
    .filter(
      ([id, row]) => typeof row === "object" && row !== null && (FIELDS.some((field) => isSeveral(row, field)) || isSeveral(rows, id)),
    )
    .map(([id]) => id)
}

function answer(message: Extract<ToWorker, { type: "ask" }>): Questions[keyof Questions]["answer"] {
  switch (message.question) {
    case "page":
      return ledger.page(message.ask.about, message.ask.before, message.ask.limit)
    case "makers":
      return message.ask.operations.map((operation) => ledger.maker(operation))
    case "beforeDeletion":
      return ledger.beforeDeletion(message.ask.position)
    case "past":
      return past(message.ask.place)
  }
}

function past(place: number): Past | null {
  const entry = ledger.entry(place)
  if (!doc || !entry) return null
  const then = A.view(doc, ledger.headsAt(place))
  const positions = Object.entries(rowsOf(then)).flatMap(([id, row]) => {
    const position = readPosition(id, row)
    return position ? [position] : []
  })
  positions.sort((one, other) => (other.createdAt ?? 0) - (one.createdAt ?? 0) || (one.id < other.id ? -1 : 1))
  return { positions, settings: readSettings(then), ...entry }
}
