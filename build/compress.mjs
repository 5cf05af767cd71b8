// Prepares the built page for embedding: `node compress.mjs FROM TO`.
//
// Writes every file of FROM to TO under a number, compressed if its type benefits, and prints one line per file,
// separated by tabs: URL path, media type, tag, length, number, and "compressed" or "plain".
import { createHash } from "node:crypto"
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { extname, join, relative, sep } from "node:path"
import { brotliCompressSync, constants, gzipSync } from "node:zlib"

// What compresses is text, or WebAssembly. Without the right type, browsers do not compile that while it arrives.
const COMPRESSED = new Map([
  [".css", "text/css; charset=utf-8"],
  [".html", "text/html; charset=utf-8"],
  [".ico", "image/x-icon"],
  [".js", "text/javascript; charset=utf-8"],
  [".json", "application/json"],
  [".map", "application/json"],
  [".mjs", "text/javascript; charset=utf-8"],
  [".svg", "image/svg+xml"],
  [".txt", "text/plain; charset=utf-8"],
  [".wasm", "application/wasm"],
  [".webmanifest", "application/manifest+json"],
  [".xml", "application/xml"],
])
// Compressed by themselves.
const PLAIN = new Map([
  [".avif", "image/avif"],
  [".gif", "image/gif"],
  [".jpeg", "image/jpeg"],
  [".jpg", "image/jpeg"],
  [".png", "image/png"],
  [".webp", "image/webp"],
  [".woff", "font/woff"],
  [".woff2", "font/woff2"],
])

const [from, to] = process.argv.slice(2)
rmSync(to, { recursive: true, force: true })
mkdirSync(to, { recursive: true })

const files = readdirSync(from, { recursive: true, withFileTypes: true })
  .filter(entry => entry.isFile())
  .map(entry => join(entry.parentPath, entry.name))
  .sort()

for (const [number, file] of files.entries()) {
  const content = readFileSync(file)
  const extension = extname(file).toLowerCase()
  const path = `/${relative(from, file).split(sep).map(encodeURIComponent).join("/")}`
  const tag = createHash("sha256").update(content).digest("hex").slice(0, 32)
  const compressed = COMPRESSED.has(extension)
  const type = COMPRESSED.get(extension) ?? PLAIN.get(extension) ?? "application/octet-stream"
  if (compressed) {
    const params = {
      [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
      [constants.BROTLI_PARAM_SIZE_HINT]: content.length,
    }
    writeFileSync(join(to, `${number}.br`), brotliCompressSync(content, { params }))
    writeFileSync(join(to, `${number}.gz`), gzipSync(content, { level: 9 }))
  } else {
    writeFileSync(join(to, `${number}`), content)
  }
  console.log([path, type, tag, content.length, number, compressed ? "compressed" : "plain"].join("\t"))
}
