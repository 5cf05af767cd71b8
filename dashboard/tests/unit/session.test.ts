import { expect, it } from "vitest"
import { providerFailure, setupCode } from "../../src/sync/session"

it("every failure of a login by the provider has a text", () => {
  expect(providerFailure("#login=cancelled")).toBe("The login was cancelled.")
  for (const reason of ["", "unknown", "__proto__", "constructor", "toString"])
    expect(providerFailure(`#login=${reason}`)).toMatch(/^The login failed/)
  expect(providerFailure("#plan")).toBeNull()
})

it("a mangled link to set up a server is read as it is", () => {
  expect(setupCode("#setup=a%20b")).toBe("a b")
  expect(setupCode("#setup=%")).toBe("%")
  expect(setupCode("#plan")).toBeNull()
})
