import { describe, expect, it } from "vitest"
import { successorOf } from "../../src/sync/successor"

describe("successorOf", () => {
  it("reads the id from the URL", () => {
    expect(successorOf({ successor: "automerge:4NMNnkMhL8jXrdJ9jamS58PAVdXu" })).toBe("4NMNnkMhL8jXrdJ9jamS58PAVdXu")
  })

  it("ignores everything else", () => {
    for (const successor of [undefined, null, 7, "", "automerge:", "https://example.com", "4NMNnkMhL8jXrdJ9jamS58PAVdXu", {}])
      expect(successorOf({ successor }), String(successor)).toBeNull()
    expect(successorOf(undefined)).toBeNull()
  })
})
