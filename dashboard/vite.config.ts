import react from "@vitejs/plugin-react"
import { defineConfig } from "vite"
import { VitePWA } from "vite-plugin-pwa"

/** The service worker handles navigation to the page, never requests to the folders of the server. */
const PAGE = [/\/(?:index\.html)?(?:\?.*)?$/]
const SERVER = [/\/(?:api|data|ws\/dashboard|accounts\/api\/(?:login|logout))\/(?:\?.*)?$/]

/** The server to proxy to in `npm run dev`. */
const server = process.env.HAPPIERWORK_URL ?? "http://127.0.0.1:8000"

export default defineConfig({
  // Relative links, so that the page works below a path prefix.
  base: "./",
  plugins: [
    react(),
    VitePWA({
      registerType: "autoUpdate",
      injectRegister: false,
      manifest: {
        name: "Happierwork",
        short_name: "Happierwork",
        description: "Plan positions and budgets together, online and offline",
        start_url: ".",
        scope: ".",
        display: "standalone",
        background_color: "#f6f7f9",
        theme_color: "#3446c5",
        icons: [
          { src: "icon.svg", sizes: "any", type: "image/svg+xml", purpose: "any" },
          { src: "icon-192.png", sizes: "192x192", type: "image/png", purpose: "any" },
          { src: "icon-512.png", sizes: "512x512", type: "image/png", purpose: "any" },
          { src: "icon-maskable-512.png", sizes: "512x512", type: "image/png", purpose: "maskable" },
        ],
      },
      workbox: {
        globPatterns: ["**/*.{js,css,html,wasm,svg,png}"],
        // Automerge's WebAssembly.
        maximumFileSizeToCacheInBytes: 8_000_000,
        navigateFallback: "index.html",
        navigateFallbackAllowlist: PAGE,
        navigateFallbackDenylist: SERVER,
        cleanupOutdatedCaches: true,
        // A new service worker takes over at once; the page then offers to reload.
        skipWaiting: true,
        clientsClaim: true,
      },
    }),
  ],
  worker: { format: "es" },
  build: { target: "es2023", assetsInlineLimit: 0, chunkSizeWarningLimit: 1_000 },
  server: {
    proxy: Object.fromEntries(["/api", "/data", "/sync", "/ws", "/accounts"].map((path) => [path, { target: server, ws: true }])),
  },
})
