/** Reads the `error` message with which the server rejects changes to one document. The connection stays open. */
import { cbor } from "@automerge/automerge-repo/slim"

export interface Rejection {
  documentId: string
  /** Message for the user. */
  reason: string
}

/** Start of an error frame: a CBOR map whose first pair is `type: "error"`. */
const ERROR = [0x64, 0x74, 0x79, 0x70, 0x65, 0x65, 0x65, 0x72, 0x72, 0x6f, 0x72]

export function readRejection(frame: Uint8Array): Rejection | null {
  // Sync messages can be large and are not decoded twice.
  if (!ERROR.every((byte, at) => frame[at + 1] === byte)) return null
  let message: { documentId?: unknown; message?: unknown }
  try {
    message = cbor.decode(frame)
  } catch {
    return null
  }
  const { documentId, message: text } = message
  if (typeof documentId !== "string" || typeof text !== "string") return null
  // The page shows the name of the plan instead of its id.
  return { documentId, reason: text.replace(`document automerge:${documentId}: `, "") }
}
