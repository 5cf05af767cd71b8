/** Automerge's WebAssembly: one file, compiled while it arrives, kept by the browser for as long as its name stays. */

import wasm from "@automerge/automerge/automerge.wasm?url"
import { initializeWasm } from "@automerge/automerge/slim"

let started: Promise<void> | null = null

export function startAutomerge(): Promise<void> {
  started ??= initializeWasm(wasm)
  return started
}
