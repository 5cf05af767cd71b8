import { existsSync } from "node:fs"
import { defineConfig } from "@playwright/test"

/** Uses the installed browser; nothing is downloaded. */
const browser =
  process.env.CHROMIUM ||
  ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"].map((name) => `/usr/bin/${name}`).find(existsSync)
if (!browser) throw new Error("Chromium not found. Install it (Debian: apt-get install chromium) or set CHROMIUM to its path.")

export default defineConfig({
  testDir: "tests",
  testMatch: "*.spec.ts",
  outputDir: "node_modules/.cache/playwright",
  // Each test has its own server and usually two browsers.
  workers: 2,
  fullyParallel: true,
  timeout: 120_000,
  expect: { timeout: 20_000 },
  forbidOnly: true,
  reporter: [["list"]],
  use: {
    locale: "en-IN",
    viewport: { width: 1280, height: 860 },
    trace: "off",
    launchOptions: {
      executablePath: browser,
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    },
  },
})
