/** Duplicates a saved document in a web worker. */
import type { DuplicateRequest, DuplicateResponse } from "./duplicate-worker"

export function duplicateInWorker(request: DuplicateRequest): Promise<Uint8Array> {
  const worker = new Worker(new URL("./duplicate-worker.ts", import.meta.url), { type: "module", name: "duplicate" })
  const copy = new Promise<Uint8Array>((resolve, reject) => {
    worker.onmessage = ({ data }: MessageEvent<DuplicateResponse>) =>
      "copy" in data ? resolve(data.copy) : reject(new Error(`The plan could not be copied: ${data.problem}`))
    worker.onerror = (event) => reject(new Error(event.message || "The plan could not be copied: its worker could not be started."))
    worker.postMessage(request, [request.source.buffer as ArrayBuffer])
  })
  return copy.finally(() => worker.terminate())
}
