/** The server rejects changes to one document; the connection stays open. */
import { cbor } from "@automerge/automerge-repo/slim"
import { expect, test } from "vitest"
import { readRejection } from "../../src/sync/rejection"

const documentId = "4NMNnkMhL8jXrdJ9jamS58PAVdXu"
const said = `document automerge:${documentId}: the document is full`

/** Encoded as by the server: maps with short heads, the type first. */
function frame(message: Record<string, string>): Uint8Array {
  const text = (value: string) => {
    const bytes = new TextEncoder().encode(value)
    return bytes.length < 24 ? [0x60 | bytes.length, ...bytes] : [0x78, bytes.length, ...bytes]
  }
  const pairs = Object.entries(message)
  return Uint8Array.from([0xa0 | pairs.length, ...pairs.flatMap(([key, value]) => [...text(key), ...text(value)])])
}

test("an error about a document contains the reason", () => {
  const error = frame({ type: "error", senderId: "server", message: said, targetId: "page", documentId })
  expect(cbor.decode(error)).toMatchObject({ type: "error", documentId })
  expect(readRejection(error)).toEqual({ documentId, reason: "the document is full" })
})

test("other messages are not rejections", () => {
  expect(readRejection(frame({ type: "error", message: "the server is shutting down" }))).toBeNull()
  expect(readRejection(frame({ type: "sync", message: said, documentId }))).toBeNull()
  expect(readRejection(new Uint8Array([0xff]))).toBeNull()
  expect(readRejection(frame({ type: "error", documentId, message: said }).slice(0, 20))).toBeNull()
})
