/** Loads Automerge's WebAssembly. It is compiled while it downloads, and cached by its hashed file name. */

import wasm from "@automerge/automerge/automerge.wasm?url"
import { initializeWasm } from "@automerge/automerge/slim"

let started: Promise<void> | null = null

export function startAutomerge(): Promise<void> {
  started ??= initializeWasm(wasm)
  return started
}
