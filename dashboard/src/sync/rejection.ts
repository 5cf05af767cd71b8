/** The `error` message by which the server refuses changes to one document, while the connection goes on. */
import { cbor } from "@automerge/automerge-repo/slim"

export interface Rejection {
  documentId: string
  /** For people: what happened, and what to do. */
  reason: string
}

/** How a frame of the server begins: a map, of which the first pair is `type: "error"`. */
const ERROR = [0x64, 0x74, 0x79, 0x70, 0x65, 0x65, 0x65, 0x72, 0x72, 0x6f, 0x72]

export function readRejection(frame: Uint8Array): Rejection | null {
  // Sync messages may be large: they are not decoded once more here.
  if (!ERROR.every((byte, at) => frame[at + 1] === byte)) return null
  let message: { documentId?: unknown; message?: unknown }
  try {
    message = cbor.decode(frame)
  } catch {
    return null
  }
  const { documentId, message: text } = message
  if (typeof documentId !== "string" || typeof text !== "string") return null
  // The page names the plan otherwise.
  return { documentId, reason: text.replace(`document automerge:${documentId}: `, "") }
}
