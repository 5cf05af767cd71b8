import { existsSync } from "node:fs"
import { defineConfig } from "@playwright/test"

/** The system's browser: nothing is downloaded. */
const browser = process.env.CHROMIUM || ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync)
if (!browser) throw new Error("there is no Chromium: install it (on Debian: apt-get install chromium), or set CHROMIUM to where it is")

export default defineConfig({
  testDir: "tests",
  testMatch: "*.spec.ts",
  outputDir: "node_modules/.cache/playwright",
  // Each test has a server, and mostly two browsers, of its own.
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
