import { expect, it } from "vitest"
import { toMembers, toUserName } from "../../src/sync/access"

it("members are listed with the creator and owners first", () => {
  const users = { zoe: "viewer", adam: "editor", cfo: "owner", bea: "editor" } as const
  expect(toMembers({ owner: "ceo", users }).map(({ name }) => name)).toEqual(["ceo", "cfo", "adam", "bea", "zoe"])
  expect(toMembers({ owner: "ceo", users: {} })).toEqual([{ name: "ceo", role: "owner", isCreator: true }])
  expect(toMembers({ owner: null, users: {} })).toEqual([])
})

it("names are written as the server records them", () => {
  expect(toUserName(" CFO@Example.com ", true)).toBe("cfo@example.com")
  expect(toUserName("Ärzte", true)).toBe("Ärzte")
  expect(toUserName(" Anita ", false)).toBe("Anita")
})
