/** Comments in the history: what each change did to them. Operations must arrive in the order of the history. */
import type { next as A } from "@automerge/automerge/slim"
import type { CommentEvent } from "./events"
import { TextSequence } from "./text-sequence"

type Operation = A.DecodedChange["ops"][number]

/** An entry of a map of comments. A comment has several if it was copied or restored. */
interface Entry {
  position: string
  /** Object id of the row. */
  row: string
  comment: string
  text: TextSequence
  done: boolean
}

/** A comment as the history knows it. */
interface Known {
  text: string
  done: boolean
  isDeleted: boolean
}

/** What a change did to a comment, and the row that contains it. */
export type LoggedComment = Pick<CommentEvent, "position" | "action" | "text"> & { row: string }

export class CommentLog {
  /** By object id. */
  #maps = new Map<string, { position: string; row: string }>()
  #entries = new Map<string, Entry>()
  #texts = new Map<string, Entry>()
  #known = new Map<string, Known>()
  /** What the change that is being read has touched: the entry, or `null` if it was deleted, by comment. */
  #touched = new Map<string, { entry: Entry | null; position: string; row: string }>()

  /** A map of comments was created in a row. */
  addMap(object: string, position: string, row: string): void {
    this.#maps.set(object, { position, row })
  }

  /** Reads an operation on a value below the comments of a row. Others are ignored. */
  read(op: Operation, operation: string): void {
    const map = this.#maps.get(op.obj)
    if (map) {
      const { position, row } = map
      const entry: Entry = { position, row, comment: op.key, text: new TextSequence(), done: false }
      if (op.action === "makeMap") this.#entries.set(operation, entry)
      if (op.action === "makeMap" || op.action === "del")
        this.#touched.set(keyOf(entry), { entry: op.action === "makeMap" ? entry : null, position, row })
      return
    }
    const entry = this.#entries.get(op.obj)
    if (entry) {
      if (op.key === "text" && op.action === "makeText") {
        entry.text = new TextSequence()
        this.#texts.set(operation, entry)
      } else if (op.key === "text" && op.action === "set") entry.text = textOf(String(op.value ?? ""))
      else if (op.key === "done") entry.done = op.action === "set" && op.value === true
      else return
      this.#touched.set(keyOf(entry), { entry, position: entry.position, row: entry.row })
      return
    }
    const commented = this.#texts.get(op.obj)
    if (!commented) return
    const { insert, elemId } = op as unknown as { insert?: boolean; elemId?: string }
    if (insert) commented.text.insert(operation, elemId ?? "_head", String(op.value ?? ""))
    else if (elemId) commented.text.replace(elemId, op.action === "del" ? null : String(op.value ?? ""))
    this.#touched.set(keyOf(commented), { entry: commented, position: commented.position, row: commented.row })
  }

  /** What the change that was read did. The next operations belong to another change. */
  takeEvents(): LoggedComment[] {
    const found = [...this.#touched].flatMap(([key, { entry, position, row }]): LoggedComment[] => {
      const before = this.#known.get(key)
      if (!entry) {
        if (!before || before.isDeleted) return []
        this.#known.set(key, { ...before, isDeleted: true })
        return [{ row, position, action: "deleted", text: before.text }]
      }
      const now: Known = { text: entry.text.value, done: entry.done, isDeleted: false }
      this.#known.set(key, now)
      const action = actionOf(before, now)
      return action ? [{ row, position, action, text: now.text }] : []
    })
    this.#touched.clear()
    return found
  }
}

const keyOf = ({ position, comment }: Entry): string => `${position}/${comment}`

function textOf(value: string): TextSequence {
  const text = new TextSequence()
  text.insert("0@", "_head", value)
  return text
}

function actionOf(before: Known | undefined, now: Known): CommentEvent["action"] | null {
  if (!before) return "added"
  if (before.isDeleted) return "restored"
  return before.done === now.done ? null : now.done ? "resolved" : "reopened"
}
