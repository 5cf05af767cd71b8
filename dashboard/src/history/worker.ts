/** Web worker with its own copy of the document, so that reading a long history does not block the page. */

import { next as A } from "@automerge/automerge/slim"
import { FIELDS } from "../plan/fields"
import { readPlainColumns } from "../plan/own-columns"
import { readPosition, readSettings, rowsOf } from "../plan/schema"
import { previewUpdate } from "../plan/update-preview"
import { compareWithVersion } from "../plan/version-comparison"
import { startAutomerge } from "../sync/automerge"
import { type ChunkPlace, joinChunks, readChunks } from "../sync/stored-chunks"
import { ChangeLog } from "./change-log"
import { decodeChangesSince } from "./decode-changes"
import { authorOfState, stateAtTime } from "./past-states"
import type { PastPlan, WorkerCommand, WorkerMessage, WorkerRequests } from "./protocol"

const changeLog = new ChangeLog()
/** What was stored of the document, before the page has sent the changes since. */
let stored: A.Doc<unknown> | null = null
/** The document; `null` before it is as new as that of the page. */
let doc: A.Doc<unknown> | null = null

const post = (message: WorkerMessage) => postMessage(message)

/** Commands are processed one at a time, in the order received. */
let queue: Promise<void> = startAutomerge()
self.onmessage = ({ data }: MessageEvent<WorkerCommand>) => {
  queue = queue
    .then(() => handle(data))
    .catch((error: unknown) =>
      post(data.type === "request" ? { type: "error", id: data.id, reason: String(error) } : { type: "failed", reason: String(error) }),
    )
}

async function handle(message: WorkerCommand): Promise<void> {
  switch (message.type) {
    case "open": {
      stored = await loadStored(message.place)
      post({ type: "opened", heads: A.getHeads(stored) })
      break
    }
    case "addChanges": {
      const heads = doc ? A.getHeads(doc) : []
      const isFirst = doc === null
      doc = A.loadIncremental(doc ?? stored ?? A.init(), message.bytes)
      stored = null
      read(doc, heads)
      if (isFirst) post({ type: "conflicts", ids: positionsWithConflicts(doc) })
      break
    }
    case "request":
      post({ type: "response", id: message.id, result: respond(message) })
  }
}

/** What is stored of a document; an empty one if nothing can be read. The page then sends everything. */
async function loadStored(place: ChunkPlace): Promise<A.Doc<unknown>> {
  try {
    const chunks = await readChunks(place)
    if (chunks.length > 0) return A.load(joinChunks(chunks))
  } catch (error) {
    console.warn("The stored document could not be read by the history.", error)
  }
  return A.init()
}

function read(doc: A.Doc<unknown>, since: A.Heads): void {
  const total = A.getChangesMetaSince(doc, since).length
  let [reportedAt, done] = [performance.now(), 0]
  for (const { change, maxOp } of decodeChangesSince(doc, since)) {
    changeLog.add(change, maxOp)
    done += 1
    if (performance.now() - reportedAt > 250) {
      reportedAt = performance.now()
      post({ type: "progress", done, total })
    }
  }
  post({ type: "loaded", changes: changeLog.length, discardedEdits: changeLog.discardedEdits() })
}

function positionsWithConflicts(doc: A.Doc<unknown>): string[] {
  const rows = rowsOf(doc)
  const fields = [...FIELDS, ...readPlainColumns(doc).map(({ key }) => key)]
  const hasConflict = (object: unknown, key: string) => Object.keys(A.getConflicts(object as A.Doc<unknown>, key) ?? {}).length > 1
  return Object.entries(rows)
    .filter(
      ([id, row]) => typeof row === "object" && row !== null && (fields.some((field) => hasConflict(row, field)) || hasConflict(rows, id)),
    )
    .map(([id]) => id)
}

function respond(message: Extract<WorkerCommand, { type: "request" }>): WorkerRequests[keyof WorkerRequests]["result"] {
  switch (message.method) {
    case "page":
      return changeLog.page(message.params.scope, message.params.before, message.params.limit)
    case "authors":
      return message.params.operations.map((operation) => changeLog.authorOf(operation))
    case "headsBeforeDeletion":
      return changeLog.headsBeforeDeletion(message.params.position)
    case "planAt":
      return planAt(message.params.index)
    case "headsAt":
      return changeLog.headsAt(message.params.index)
    case "stateAt":
      return stateAtTime(changeLog.changes, message.params.time)
    case "authorsOfStates":
      return message.params.states.map((heads) => authorOfState((hash) => changeLog.change(hash), heads))
    case "compare":
      return doc && compareWithVersion(doc, message.params.heads, message.params.yearStart)
    case "previewUpdate":
      return doc && previewUpdate(doc, message.params.changes, message.params.base, message.params.yearStart)
  }
}

function planAt(index: number): PastPlan | null {
  const entry = changeLog.attributionAt(index)
  if (!doc || !entry) return null
  const then = A.view(doc, changeLog.headsAt(index))
  const columns = readPlainColumns(then)
  const positions = Object.entries(rowsOf(then)).flatMap(([id, row]) => {
    const position = readPosition(id, row, columns)
    return position ? [position] : []
  })
  positions.sort((one, other) => (other.createdAt ?? 0) - (one.createdAt ?? 0) || (one.id < other.id ? -1 : 1))
  return { positions, columns, settings: readSettings(then), ...entry }
}
