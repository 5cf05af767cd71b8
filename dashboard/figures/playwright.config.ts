import tests from "../playwright.config"

/** One at a time: what is measured has the machine to itself. */
export default {
  ...tests,
  testDir: ".",
  testMatch: "*.figures.ts",
  outputDir: "../node_modules/.cache/figures",
  workers: 1,
  fullyParallel: false,
}
