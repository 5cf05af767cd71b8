/** Web worker that joins the stored chunks of a document: saving a large document takes long and must not block the page. */
import { next as A } from "@automerge/automerge/slim"
import { newId } from "../plan/id"
import { startAutomerge } from "./automerge"
import { type ChunkPlace, joinChunks, readChunks, replaceChunks } from "./stored-chunks"

/** Number of bytes of the new chunk; `null` if nothing was replaced. */
export interface CompactionResult {
  size: number | null
}

self.onmessage = async ({ data }: MessageEvent<ChunkPlace>) => {
  let size: number | null = null
  try {
    await startAutomerge()
    const chunks = await readChunks(data)
    if (chunks.length > 1) {
      const binary = A.save(A.load(joinChunks(chunks)))
      const next = { key: [data.document, "snapshot", newId()], binary }
      if (await replaceChunks(data, chunks, next)) size = binary.length
    }
  } catch {
    // The chunks stay as they are, and the next save tries again.
  }
  postMessage({ size } satisfies CompactionResult)
}
