import tests from "../playwright.config"

/** One test at a time, so that nothing else uses the machine. */
export default {
  ...tests,
  testDir: ".",
  testMatch: "*.figures.ts",
  outputDir: "../node_modules/.cache/figures",
  workers: 1,
  fullyParallel: false,
}
