import { defineConfig } from "vite"
import wasm from "vite-plugin-wasm"

const { HAPPIERWORK_URL: target = "http://127.0.0.1:8000" } = process.env
// The page and the server have one origin, as behind a proxy.
const proxy = { "/api": target, "/sync": { target, ws: true } }

export default defineConfig({ plugins: [wasm()], build: { target: "es2022" }, server: { proxy }, preview: { proxy } })
