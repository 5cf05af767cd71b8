/** Web worker that duplicates a plan: writing thousands of rows takes seconds and must not block the page. */
import { next as A } from "@automerge/automerge/slim"
import { duplicatePlan } from "../plan/duplicate"
import { startAutomerge } from "./automerge"

/** The saved document of the original, and what the copy is called. */
export interface DuplicateRequest {
  source: Uint8Array
  id: string
  name: string
  author: string
}

/** The saved document of the copy, or why there is none. */
export type DuplicateResponse = { copy: Uint8Array } | { problem: string }

self.onmessage = async ({ data: { source, ...options } }: MessageEvent<DuplicateRequest>) => {
  let response: DuplicateResponse
  try {
    await startAutomerge()
    response = { copy: A.save(duplicatePlan(A.load(source), options)) }
  } catch (error) {
    response = { problem: String(error) }
  }
  postMessage(response)
}
