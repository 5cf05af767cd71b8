/** The successor of a plan: the document in which the plan goes on without its history. The root key `successor` is its URL. */
import { type DocumentId, isValidAutomergeUrl, parseAutomergeUrl } from "@automerge/automerge-repo/slim"

/** The id of the successor; `null` if there is none. */
export function successorOf(doc: unknown): DocumentId | null {
  const url: unknown = (doc as { successor?: unknown } | undefined)?.successor
  return typeof url === "string" && isValidAutomergeUrl(url) ? parseAutomergeUrl(url).documentId : null
}
